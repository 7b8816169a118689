"""Rows for images in blocks of channels: those of the ops for other images, which see such an operand as an `Image`."""

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn import conv, norm, pool
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.library import library
from mlkit.backends.native.onednn.row import Row
from mlkit.compiler.plan import Operand
from mlkit.core.op import OPS
from mlkit.core.spec import Spec
from mlkit.primitives.blocked_layout import plain_shape

TAGS = {8: c.TAG_IN_8, 16: c.TAG_IN_16}


def channel_block():
    """How many channels fill a vector register: those of a block."""
    lib = library()
    return None if lib is None else 16 if lib.has_avx512 else 8 if lib.isa & c.ISA_AVX2 else None


class Image(Operand):
    """An operand in blocks of channels, with the shape of the image and the tag that oneDNN has for its layout."""

    __slots__ = ("tag",)

    def __init__(self, operand):
        super().__init__(plain_shape(operand.shape), operand.dtype, None, operand.offset, operand.steady)
        self.tag = TAGS[operand.shape[-1]]


class InBlocks(Row):
    """The row of an op for images in blocks."""

    def __init__(self, row):
        self.row, self.name, self.exact = row, f"{row.name}_in_blocks", row.exact

    def fits(self, *args, block, blocked, results, **params):
        plain = [Spec(plain_shape(a.shape), str(a.dtype)) if i in blocked else a for i, a in enumerate(args)]
        return block in TAGS and self.row.fits(*plain, **params)

    def build(self, operands, outs, block, blocked, results, **params):
        if not all(is_dense(operands[i]) for i in blocked):
            return None
        operands = [Image(o) if i in blocked else o for i, o in enumerate(operands)]
        outs = [Image(o) if i in results else o for i, o in enumerate(outs)]
        return self.row.build(operands, outs, **params)


ROWS = [InBlocks(row) for row in (*conv.ROWS, *norm.ROWS, *pool.ROWS) if OPS[row.name].traits.images is not None]
