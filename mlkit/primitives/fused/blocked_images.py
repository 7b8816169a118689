"""Images whose channels lie in blocks, (batch, channels / block, height, width, block) instead of (batch, height, width, channels):
a kernel that goes over them block by block finds what it has just written in the cache. Nobody writes these ops: the layout pass
puts them in place of those that they do the work of."""

from collections.abc import Collection
from typing import Any

from mlkit.core.op import OPS, Op
from mlkit.core.spec import Spec, is_known, show
from mlkit.core.tensor import Tensor
from mlkit.primitives.blocked_layout import plain_shape, shape_in_blocks
from mlkit.primitives.fused import epilogue, widening  # noqa: F401  (they define ops of images too)
from mlkit.primitives.fused.norm_relu import batch_norm_relu, batch_norm_relu_grad, pack, unpack
from mlkit.primitives.shape import reshape, transpose


def to_blocks(x: Tensor, block: int) -> Tensor:
    """(batch, height, width, channels) -> (batch, channels / block, height, width, block)"""
    n, h, w, c = x.shape
    return transpose(reshape(x, shape=(n, h, w, c // block, block)), perm=(0, 3, 1, 2, 4))


def from_blocks(x: Tensor) -> Tensor:
    """`to_blocks` undone."""
    return reshape(transpose(x, perm=(0, 2, 3, 1, 4)), shape=plain_shape(x.shape))


def _in_blocks(inner: Op) -> None:
    """Add the variant that does what `inner` does, with the images among its arguments `blocked` and its results `results` in blocks.
    Masks have the order of the images that they belong to."""

    def spec(*args: Any, block: int, blocked: Collection[int], results: Collection[int], **params: Any) -> Any:
        for i in blocked:
            if len(args[i].shape) != 5 or args[i].shape[-1] != block:
                raise ValueError(
                    f"{inner.name}_in_blocks: argument {i} must be an image (batch, channels / {block}, height, width, {block}), "
                    f"but has shape {show(args[i].shape)}."
                )
        plain = [Spec(plain_shape(a.shape), a.dtype) if i in blocked else a for i, a in enumerate(args)]
        outs = inner.spec(*plain, **params)
        several = outs if type(outs) is tuple else (outs,)
        for i in results:
            if is_known(several[i].shape[-1]) and several[i].shape[-1] % block:
                raise ValueError(
                    f"{inner.name}_in_blocks: a result of {several[i].shape[-1]} channels cannot lie in blocks of {block}."
                )
        several = tuple(Spec(shape_in_blocks(o.shape, block), o.dtype) if i in results else o for i, o in enumerate(several))
        return several if type(outs) is tuple else several[0]

    def fallback(*args: Any, block: int, blocked: Collection[int], results: Collection[int], **params: Any) -> Any:
        shape = args[0].shape
        plain = [from_blocks(a) if i in blocked else a for i, a in enumerate(args)]
        if inner is batch_norm_relu_grad:
            plain[5] = pack(from_blocks(unpack(args[5], shape)))
        outs = inner(*plain, **params)
        several = list(outs) if type(outs) is tuple else [outs]
        several = [to_blocks(o, block) if i in results else o for i, o in enumerate(several)]
        if inner is batch_norm_relu:
            several[3] = pack(to_blocks(unpack(several[3], plain_shape(shape)), block))
        return tuple(several) if type(outs) is tuple else several[0]

    inner.variant("in_blocks", spec, fallback=fallback)


OF_IMAGES = tuple(op for op in OPS.values() if op.traits.images is not None)
for _op in OF_IMAGES:
    _in_blocks(_op)
