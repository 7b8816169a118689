"""Attention as batched products and softmax, a few samples at a time, so that their scores stay in the cache."""

import math

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense, strided
from mlkit.backends.native.onednn.parts import (
    Declined,
    binary,
    copied,
    function,
    product,
    row_sums,
    rows_dense,
    transposed,
)
from mlkit.backends.native.onednn.row import Row, element_strides, is_dense
from mlkit.backends.native.onednn.softmax import forward as softmax

BLOCK_BYTES = 2 << 20  # of scores
MASKED = 0.7 * 3.4028234663852886e38  # how much the score of a masked pair is lowered
LIMITED = (c.CLIP, -MASKED, 3.4028234663852886e38)


class _Heads:
    """Matrices (batch, heads, length, size), of which `block` gives a few samples as they lie in `layout`."""

    def __init__(self, place, shape, strides, samples):
        self.shape, self.strides, self._place, self._samples = shape, strides, place, samples
        self.layout = (samples, *shape[1:]), strides

    @staticmethod
    def of(operand, place, samples):
        """Those of an operand or a result (batch, length, heads, size)."""
        strides = element_strides(operand)
        if strides is None:
            raise Declined
        order = 0, 2, 1, 3
        return _Heads(place, *(tuple(x[i] for i in order) for x in (operand.shape, strides)), samples)

    def packed(self, kernel, transposed=False):
        """A copy in which each matrix (or its transpose) is dense: products of strided ones take up to half as long again."""
        order = (0, 1, 3, 2) if transposed else (0, 1, 2, 3)
        lying = tuple(tuple(x[i] for i in order) for x in (self.shape, self.strides))
        packed = rows_dense(lying[0])
        place = kernel.temporary(dense(lying[0]))
        kernel.run(copied(lying, packed), {c.FROM: self._place.part(strided(*lying), 0), c.TO: place})
        return _Heads(place, *packed, self._samples)

    def block(self, i):
        """(layout, place) of block i."""
        return self.layout, self._place.part(strided(*self.layout), i * self._samples * self.strides[0] * 4)


class _Scores:
    """What forward and backward share: the probabilities of a block of samples.

    q, k, mask: operands with their numbers in the call
    """

    def __init__(self, kernel, q, k, mask, scale, causal):
        (q_number, q), (k_number, k), (mask_number, mask) = q, k, mask
        batch, t, n, h = q.shape
        s = k.shape[1]
        self.kernel, self.scale = kernel, scale
        fitting = [b for b in range(1, batch + 1) if batch % b == 0 and b * n * t * s * 4 <= BLOCK_BYTES]
        self.samples = max(fitting, default=1)
        self.blocks = range(batch // self.samples)
        self.shape = self.samples, n, t, s
        self.q = self.heads(q_number, q).packed(kernel)
        self.keys = self.heads(k_number, k).packed(kernel, transposed=True)
        self.allowed = []  # (shape, place) of 1 and 0, where a row without any pair is possible
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
        copy = copied(rows_dense(shape), rows_dense(shape), "uint8")
        self.kernel.run(copy, {c.FROM: self.kernel.argument(number, dense(shape, "uint8")), c.TO: place})
        return shape, place

    def _lowering(self, shape, allowed):
        flat = dense((math.prod(shape),))
        place = self.kernel.temporary(flat)
        primitive = function(math.prod(shape), c.LINEAR, MASKED, -MASKED)
        self.kernel.run(primitive, {c.SRC: allowed.part(flat, 0), c.DST: place})
        return place

    def run(self, primitive, **places):
        names = dict(src=c.SRC, weights=c.WEIGHTS, src_1=c.SRC_1, dst=c.DST, factor=c.post_op(0) | c.SRC_1)
        self.kernel.run(primitive, {names[k]: p for k, p in places.items()})

    def multiply(self, a, b, y, scale=1.0):
        """y = a b * scale. a, b, y: ((shape, strides), place)."""
        self.run(product(a[0], b[0], y[0], scale), src=a[1], weights=b[1], dst=y[1])

    def with_mask(self, i, algorithm, place, shape, masks, then=()):
        """place = place (algorithm) mask, for the block's part of masks."""
        part = (self.samples if shape[0] > 1 else 1, *shape[1:])
        offset = i * math.prod(part) * 4 if shape[0] > 1 else 0
        self.run(binary(algorithm, self.shape, part, then), src=place, src_1=masks.part(dense(part), offset), dst=place)

    def probabilities(self, i, place):
        """Fill a place with the probabilities of block i."""
        self.multiply(self.q.block(i), self.keys.block(i), (rows_dense(self.shape), place), self.scale)
        for j, lowering in enumerate(self._lowered):  # lowered twice is as if lowered once
            self.with_mask(i, c.BINARY_ADD, place, *lowering, then=(LIMITED,) if j else ())
        rows = math.prod(self.shape[:3]), self.shape[3]
        flat = place.part(dense(rows), 0)
        primitive = softmax(rows)
        if primitive is None:
            raise Declined
        self.run(primitive, src=flat, dst=flat)


class Attention(Row):
    """(q, k, v, mask) -> y"""

    name = "attention"

    def accepts(self, q, k, v, mask, **params):
        return super().accepts(q, k, v, **params)

    def build(self, operands, outs, scale, causal):
        q, k, v, mask = operands
        kernel = Kernel(operands, outs)
        try:
            scores = _Scores(kernel, (0, q), (1, k), (3, mask), scale, causal)
            values = scores.heads(2, v).packed(kernel)
            y = _Heads.of(outs[0], kernel.result(0, None), scores.samples)
            p = kernel.temporary(dense(scores.shape))
            for i in scores.blocks:
                scores.probabilities(i, p)
                scores.multiply((rows_dense(scores.shape), p), values.block(i), y.block(i))
        except Declined:
            return None
        return kernel


class AttentionGrad(Row):
    """(g, q, k, v, mask, y) -> dq, dk, dv"""

    name = "attention_grad"

    def accepts(self, g, q, k, v, mask, y, **params):
        return super().accepts(g, q, k, v, y, **params)

    def build(self, operands, outs, scale, causal):
        g, q, k, v, mask, y = operands
        kernel = Kernel(operands, outs)
        try:
            scores = _Scores(kernel, (1, q), (2, k), (4, mask), scale, causal)
            results = [_Heads.of(o, kernel.result(i, None), scores.samples) for i, o in enumerate(outs)]
            gs, keys = (scores.heads(i, o).packed(kernel) for i, o in ((0, g), (2, k)))
            values = scores.heads(3, v).packed(kernel, transposed=True)
            dots = self._dots(kernel, g, y)
            p, d = (kernel.temporary(dense(scores.shape)) for _ in range(2))
            for i in scores.blocks:
                scores.probabilities(i, p)
                self._block(scores, i, gs.block(i), values.block(i), keys.block(i), dots, (p, d), results)
        except Declined:
            return None
        return kernel

    def _dots(self, kernel, g, y):
        """For each query and head the product of the result and its gradient, (batch, heads, queries)."""
        if not (is_dense(g) and is_dense(y)):
            raise Declined
        b, t, n, h = g.shape
        products, sums = kernel.temporary(dense(g.shape)), kernel.temporary(dense((b, t, n, 1)))
        ordered = kernel.temporary(dense((b, n, t)))
        tensors = {c.SRC: kernel.argument(0, dense(g.shape)), c.SRC_1: kernel.argument(5, dense(g.shape)), c.DST: products}
        kernel.run(binary(c.BINARY_MUL, g.shape, g.shape), tensors)
        kernel.run(row_sums(g.shape), {c.SRC: products, c.DST: sums})
        as_they_lie = (b, n, t), (t * n, 1, n)
        copy = copied(as_they_lie, rows_dense((b, n, t)))
        kernel.run(copy, {c.FROM: sums.part(strided(*as_they_lie), 0), c.TO: ordered})
        return ordered

    def _block(self, scores, i, g, v, k, dots, temporary, results):
        (p, d), (dq, dk, dv) = temporary, (r.block(i) for r in results)
        square = rows_dense(scores.shape)
        upright = transposed(square)
        scores.multiply((upright, p.part(strided(*upright), 0)), g, dv)
        scores.multiply(g, v, (square, d))
        rows, width = math.prod(scores.shape[:3]), scores.shape[3]
        flat, row = dense((rows, width)), dots.part(dense((rows, 1)), i * rows * 4)
        times = binary(c.BINARY_SUB, (rows, width), (rows, 1), (c.BINARY_MUL,))
        scores.run(times, src=d.part(flat, 0), src_1=row, dst=d.part(flat, 0), factor=p.part(flat, 0))
        for allowed in scores.allowed:  # in rows without any pair the probabilities of masked ones are not 0
            scores.with_mask(i, c.BINARY_MUL, d, *allowed)
        scores.multiply((square, d), k, dq, scores.scale)
        scores.multiply((upright, d.part(strided(*upright), 0)), scores.q.block(i), dk, scores.scale)


ROWS = [Attention(), AttentionGrad()]
