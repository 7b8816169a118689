"""Attention as batched products and softmax, a few samples at a time, so that their scores stay in the cache.

Scores, probabilities and the gradients of both are float32 until they are factors of a product, which has the operands' dtype.
"""

import math

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.building_blocks import (
    Declined,
    binary,
    copied,
    function,
    product,
    rows_dense,
    transposed,
)
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense, strided
from mlkit.backends.native.onednn.row import FLOATS, Row, element_strides
from mlkit.backends.native.onednn.softmax import backward as softmax_grad
from mlkit.backends.native.onednn.softmax import forward as softmax
from mlkit.core.dtypes import as_numpy
from mlkit.core.machine import threshold

BLOCK_BYTES = threshold("scores_at_a_time")
MASKED = 0.7 * 3.4028234663852886e38  # how much the score of a masked pair is lowered
LIMITED = (c.CLIP, -MASKED, 3.4028234663852886e38)


class _Heads:
    """Matrices (batch, heads, length, size), of which `block` gives a few samples as they lie in `layout`."""

    def __init__(self, place, shape, strides, dtype, samples):
        self.shape, self.strides, self.dtype, self._place, self._samples = shape, strides, dtype, place, samples
        self.layout = (samples, *shape[1:]), strides, dtype

    @staticmethod
    def of(operand, place, samples):
        """Those of an operand or a result (batch, length, heads, size)."""
        strides = element_strides(operand)
        if strides is None:
            raise Declined
        order = 0, 2, 1, 3
        return _Heads(place, *(tuple(x[i] for i in order) for x in (operand.shape, strides)), operand.dtype, samples)

    def packed(self, kernel, transposed=False):
        """The same in copies in which each matrix (or its transpose) is dense: products of strided ones take up to half as
        long again."""
        order = (0, 1, 3, 2) if transposed else (0, 1, 2, 3)
        lying = [tuple(x[i] for i in order) for x in (self.shape, self.strides)]
        return _Packed(kernel, _Heads(self._place, *lying, self.dtype, self._samples))

    def block(self, i):
        """(layout, place) of block i."""
        step = self._samples * self.strides[0] * as_numpy(self.dtype).itemsize
        return self.layout, self._place.part(strided(*self.layout), i * step)


class _Packed:
    """Blocks of `_Heads`, copied to one place, each when it is first asked for: there they stay in the cache."""

    def __init__(self, kernel, heads):
        self._kernel, self._heads = kernel, heads
        self.layout = rows_dense(heads.layout[0], heads.dtype)
        self._place, self._copied = kernel.temporary(strided(*self.layout)), None

    def block(self, i):
        """(layout, place) of block i, valid until that of another block is asked for."""
        if self._copied != i:
            layout, place = self._heads.block(i)
            self._kernel.run(copied(layout, self.layout), {c.FROM: place, c.TO: self._place})
            self._copied = i
        return self.layout, self._place


class _Scores:
    """What forward and backward share: the probabilities of a block of samples.

    q, k, mask: operands with their numbers in the call
    """

    def __init__(self, kernel, q, k, mask, scale, causal):
        (q_number, q), (k_number, k), (mask_number, mask) = q, k, mask
        batch, t, n, _h = q.shape
        s = k.shape[1]
        self.kernel, self.scale, self.dtype = kernel, scale, q.dtype
        fitting = [b for b in range(1, batch + 1) if batch % b == 0 and b * n * t * s * 4 <= BLOCK_BYTES]
        self.samples = max(fitting, default=1)
        self.blocks = range(batch // self.samples)
        self.shape = self.samples, n, t, s
        self.rows = math.prod(self.shape[:3]), s
        self.wide, self.factors = rows_dense(self.shape, "float32"), rows_dense(self.shape, q.dtype)
        self.q = self.heads(q_number, q).packed(kernel)
        self.keys = self.heads(k_number, k).packed(kernel, transposed=True)
        self.allowed = []  # (shape, place) of 1 and 0, where a row without any pair is possible
        self._turned = {}  # layout -> a place for transposed results
        self._lowered = []  # (shape, place) of what is added to the scores
        if causal:
            lower = np.tril(np.ones((1, 1, t, s), "float32"))
            self._lowered.append((lower.shape, kernel.constant((lower - 1) * np.float32(MASKED))))
        if mask is not None:
            self.allowed.append(self._as_numbers(mask_number, mask))
            self._lowered.append((self.allowed[0][0], self._lowering(*self.allowed[0])))
            self.allowed += [(lower.shape, kernel.constant(lower))] if causal else []

    def heads(self, number, operand):
        return _Heads.of(operand, self.kernel.argument(number, None), self.samples)

    def _as_numbers(self, number, mask):
        """(shape, place) of the mask as 1 and 0."""
        shape = (1,) * (4 - mask.ndim) + tuple(mask.shape)
        if not is_dense(mask):
            raise Declined
        place = self.kernel.temporary(dense(shape))
        copy = copied(rows_dense(shape, "uint8"), rows_dense(shape))
        self.kernel.run(copy, {c.FROM: self.kernel.argument(number, dense(shape, "uint8")), c.TO: place})
        return shape, place

    def _lowering(self, shape, allowed):
        flat = dense((math.prod(shape),))
        place = self.kernel.temporary(flat)
        primitive = function(math.prod(shape), c.LINEAR, MASKED, -MASKED)
        self.kernel.run(primitive, {c.SRC: allowed.part(flat, 0), c.DST: place})
        return place

    def run(self, primitive, **places):
        names = dict(src=c.SRC, weights=c.WEIGHTS, src_1=c.SRC_1, dst=c.DST, diff_dst=c.DIFF_DST, diff_src=c.DIFF_SRC)
        self.kernel.run(primitive, {names[k]: p for k, p in places.items()})

    def temporary(self, layout):
        return self.kernel.temporary(strided(*layout))

    def multiply(self, a, b, y, scale=1.0):
        """y = a b * scale. a, b, y: (layout, place)."""
        self.run(product(a[0], b[0], y[0], scale), src=a[1], weights=b[1], dst=y[1])

    def multiply_turned(self, p, x, y, scale=1.0):
        """y = p^T x * scale, as the transpose of x^T p: a transposed matrix of scores takes twice the time of one that lies
        right. p: place of factors, x, y: (layout, place)."""
        turned_y = rows_dense(transposed(y[0])[0], self.dtype)
        if turned_y not in self._turned:
            self._turned[turned_y] = self.temporary(turned_y)
        place = self._turned[turned_y]
        self.multiply((transposed(x[0]), x[1]), (self.factors, p), (turned_y, place), scale)
        self.run(copied(turned_y, transposed(y[0])), src=place, dst=y[1])

    def with_mask(self, i, algorithm, place, dtype, shape, masks, then=()):
        """place = place (algorithm) mask, for the block's part of masks. dtype: of the place."""
        part = (self.samples if shape[0] > 1 else 1, *shape[1:])
        offset = i * math.prod(part) * 4 if shape[0] > 1 else 0
        primitive = binary(algorithm, self.shape, part, then, dtype)
        self.run(primitive, src=place, src_1=masks.part(dense(part), offset), dst=place)

    def probabilities(self, i, place, result=None, dtype="float32"):
        """Compute the probabilities of block i in a place, float32; result: place for them, of another dtype."""
        self.multiply(self.q.block(i), self.keys.block(i), (self.wide, place), self.scale)
        for j, lowering in enumerate(self._lowered):  # lowered twice is as if lowered once
            self.with_mask(i, c.BINARY_ADD, place, "float32", *lowering, then=(LIMITED,) if j else ())
        primitive = softmax(self.rows, "float32", dtype)
        if primitive is None:
            raise Declined
        flat = place.part(dense(self.rows), 0)
        self.run(primitive, src=flat, dst=flat if result is None else result.part(dense(self.rows, dtype), 0))


def _is_generated(primitive):
    return not primitive.implementation.startswith("ref")


class _ThroughSoftmax:
    """The gradients of scores of those of the probabilities. Where oneDNN's gradient of softmax has no generated code, as without
    AVX-512, it is computed in three passes, which take a tenth of its time."""

    def __init__(self, scores):
        self.scores, rows = scores, scores.rows
        self.primitive = softmax_grad(rows, "float32", scores.dtype)
        if self.primitive is None:
            raise Declined
        self.spare = None
        if not _is_generated(self.primitive) and scores.dtype == "float32":
            self.spare = [scores.kernel.temporary(dense(shape)) for shape in (rows, (rows[0], 1))]
            self.ones = scores.kernel.constant(np.ones((rows[1], 1), "float32"))

    def run(self, p, d, result):
        """p, d: places of the probabilities and their gradients, of which d is overwritten; result: place, d where that has its dtype."""
        scores, rows = self.scores, self.scores.rows
        p, d = p.part(dense(rows), 0), d.part(dense(rows), 0)
        if self.spare is None:
            scores.run(self.primitive, dst=p, diff_dst=d, diff_src=result.part(dense(rows, scores.dtype), 0))
            return
        products, sums = self.spare
        scores.run(binary(c.BINARY_MUL, rows, rows), src=p, src_1=d, dst=products)
        scores.multiply((rows_dense(rows), products), (rows_dense((rows[1], 1)), self.ones), (rows_dense((rows[0], 1)), sums))
        less = binary(c.BINARY_SUB, rows, (rows[0], 1), then=(c.BINARY_MUL,))
        scores.kernel.run(less, {c.SRC: d, c.SRC_1: sums, c.post_op(0) | c.SRC_1: p, c.DST: d})


class Attention(Row):
    """(q, k, v, mask) -> y"""

    name = "attention"
    exact = FLOATS

    def accepts(self, q, k, v, mask, **params):
        return super().accepts(q, k, v, **params)

    def build(self, operands, outs, scale, causal):
        q, k, v, mask = operands
        kernel = Kernel(operands, outs)
        try:
            scores = _Scores(kernel, (0, q), (1, k), (3, mask), scale, causal)
            values = scores.heads(2, v).packed(kernel)
            y = _Heads.of(outs[0], kernel.result(0, None), scores.samples)
            s = scores.temporary(scores.wide)
            p = s if q.dtype == "float32" else scores.temporary(scores.factors)
            for i in scores.blocks:
                scores.probabilities(i, s, p, q.dtype)
                scores.multiply((scores.factors, p), values.block(i), y.block(i))
        except Declined:
            return None
        return kernel


class AttentionGrad(Row):
    """(g, q, k, v, mask) -> dq, dk, dv"""

    name = "attention_grad"
    exact = FLOATS

    def accepts(self, g, q, k, v, mask, **params):
        return super().accepts(g, q, k, v, **params)

    def build(self, operands, outs, scale, causal):
        g, q, k, v, mask = operands
        kernel = Kernel(operands, outs)
        try:
            scores = _Scores(kernel, (1, q), (2, k), (4, mask), scale, causal)
            results = [_Heads.of(o, kernel.result(i, None), scores.samples) for i, o in enumerate(outs)]
            gs, keys = (scores.heads(i, o).packed(kernel) for i, o in ((0, g), (2, k)))
            values = scores.heads(3, v).packed(kernel, transposed=True)
            places = [scores.temporary(scores.wide) for _ in range(2)]
            if q.dtype != "float32":
                places += [scores.temporary(scores.factors) for _ in range(2)]
            through_softmax = _ThroughSoftmax(scores)
            for i in scores.blocks:
                scores.probabilities(i, places[0])
                self._block(
                    scores,
                    through_softmax,
                    i,
                    gs.block(i),
                    values.block(i),
                    keys.block(i),
                    places,
                    [r.block(i) for r in results],
                )
        except Declined:
            return None
        return kernel

    def _block(self, scores, through_softmax, i, g, v, k, places, results):
        """places: of probabilities and of their gradients in float32, then as factors where these have another dtype."""
        (p, d, *_), (p_factors, d_factors), (dq, dk, dv) = places, places[-2:], results
        if p_factors is not p:
            scores.run(copied(scores.wide, scores.factors), src=p, dst=p_factors)
        scores.multiply_turned(p_factors, g, dv)
        scores.multiply(g, v, (scores.wide, d))
        through_softmax.run(p, d, d_factors)
        for allowed in scores.allowed:  # in rows without any pair the probabilities of masked ones are not 0
            scores.with_mask(i, c.BINARY_MUL, d_factors, scores.dtype, *allowed)
        scores.multiply((scores.factors, d_factors), k, dq, scores.scale)
        scores.multiply_turned(d_factors, scores.q.block(i), dk, scores.scale)


ROWS = [Attention(), AttentionGrad()]
