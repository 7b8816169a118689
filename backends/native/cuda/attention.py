"""Rows for attention of any size and dtype: batched products by cuBLAS, and kernels of ours between them.

All scores of some samples are there at once, in memory of the plan; as many samples are taken together as a quarter of a gigabyte holds.
"""

import math

import numpy as np

from mlkit.backends.native.cuda.blas import Matrix, knows
from mlkit.backends.native.cuda.matrix_rows import LANES, MatrixRow, can_count
from mlkit.backends.native.cuda.row import computed, number, stored
from mlkit.core import dtypes

MOST_BYTES = 256 << 20  # of scores at once, but for one sample's
_MOST_TENSORS = 10  # as `places` in kernels/attention.cu has them
_PLACES = np.dtype([("base", "u8", _MOST_TENSORS), ("of_sample", "i8", _MOST_TENSORS), ("of_head", "i8", _MOST_TENSORS)])


def rows(device):
    return [Attention(device), AttentionGradient(device)]


class _Attention(MatrixRow):
    parts = ("block", "rows", "attention")

    def sizes(self, q, k):
        """(samples, heads, queries, keys)"""
        return q.shape[0], q.shape[2], q.shape[1], k.shape[1]

    def can_take(self, q, k):
        samples, heads, queries, keys = self.sizes(q, k)
        return knows(q.dtype) and can_count(samples * heads * queries, keys)

    def layout(self, q, k):
        """(samples at once, bytes of their scores, of their probabilities, of the addresses), all multiples of 256."""
        samples, heads, queries, keys = self.sizes(q, k)
        wide, own = _wide(q).itemsize, dtypes.itemsize(dtypes.name_of(q.dtype))
        of_one = heads * queries * keys
        at_once = max(1, min(samples, MOST_BYTES // (of_one * (wide + own))))
        sizes = at_once * of_one * wide, at_once * of_one * own, 8 * _MOST_TENSORS * at_once * heads
        return at_once, *(-(-n // 256) * 256 for n in sizes)

    def room(self, q, k):
        return sum(self.layout(q, k)[1:])

    def groups(self, q, k, scratch):
        """(first sample, end, scores, probabilities, addresses) of samples that are taken together: arrays in the temporary memory."""
        at_once, scores, probabilities, _ = self.layout(q, k)
        samples, heads, queries, keys = self.sizes(q, k)
        for first in range(0, samples, at_once):
            end = min(first + at_once, samples)
            shape = (end - first, heads, queries, keys)
            n = math.prod(shape)
            yield (
                first,
                end,
                scratch[:scores].view(_wide(q))[:n].reshape(shape),
                scratch[scores : scores + probabilities].view(q.dtype)[:n].reshape(shape),
                scratch[scores + probabilities :].view("uint64"),
            )

    def matrices(self, named, table, heads):
        """Name -> function (turned) -> `Matrix` of a tensor's matrices, whose addresses are written into the table.

        named: name -> array, (samples, length, heads, size) or, where it ends in "'", (samples, heads, rows, columns).
        """
        places, found = np.zeros((), _PLACES), {}
        samples = next(iter(named.values())).shape[0]
        for i, (name, x) in enumerate(named.items()):
            by_head = name.endswith("'")
            of_sample, of_head, line = (x.strides[a] for a in ((0, 1, 2) if by_head else (0, 2, 1)))
            places["base"][i], places["of_sample"][i], places["of_head"][i] = x.data.ptr, of_sample, of_head
            rows, columns = (x.shape[2], x.shape[3]) if by_head else (x.shape[1], x.shape[3])
            pointer = table.data.ptr + 8 * i * samples * heads
            found[name] = _Matrices(pointer, dtypes.name_of(x.dtype), rows, columns, line // x.itemsize)
        arguments = [("places", "at", places), ("unsigned long long*", "table", table), ("int", "count", np.int32(len(named)))]
        arguments += [("long long", "samples", number(samples)), ("long long", "heads", number(heads))]
        self.start("addresses", [], arguments, -(-samples * heads // 256))
        return found

    def over_scores(self, template, wide, own, mask, causal, scale):
        """Launch a template over the rows of scores."""
        samples, heads, queries, keys = wide.shape
        mask_steps = [0] * 4
        if mask is not None:
            padded = (1,) * (4 - mask.ndim) + mask.shape
            steps = (0,) * (4 - mask.ndim) + mask.strides
            mask_steps = [0 if n == 1 else s for n, s in zip(padded, steps)]
        kind, rows = computed(own), samples * heads * queries
        arguments = [(f"{kind}*", "scores", wide), (f"{stored(own)[0]}*", "own", own), ("bool*", "mask", mask)]
        arguments += [
            ("long long", name, number(s)) for name, s in zip(("of_sample", "of_head", "of_query", "of_key"), mask_steps)
        ]
        arguments += [("bool", "causal", np.bool_(causal))]
        sizes = dict(rows=rows, heads=heads, queries=queries, keys=keys)
        arguments += [("unsigned", name, np.uint32(n)) for name, n in sizes.items()]
        arguments += [(kind, "scale", _wide(own).type(scale))]
        self.over_rows(template, [stored(own)[0], kind, LANES], arguments, rows, keys, [wide, own])


class Attention(_Attention):
    name, launches = "attention", 4

    def fits(self, q, k, v, mask, scale, causal):
        return self.can_take(q, k)

    def scratch(self, q, k, v, mask, scale, causal):
        return self.room(q, k)

    def launches_for(self, q, k, v, mask, scale, causal):
        return 4 * -(-q.shape[0] // self.layout(q, k)[0])

    def launch(self, args, outs, params):
        (q, k, v, mask), (y, scratch), multiply = args, outs, self.device.blas.products
        for first, end, scores, own, table in self.groups(q, k, scratch):
            heads, count = q.shape[2], (end - first) * q.shape[2]
            part = {name: x[first:end] for name, x in (("q", q), ("k", k), ("v", v), ("y", y))}
            at = self.matrices({**part, "scores'": scores, "own'": own}, table, heads)
            multiply(at["q"](), at["k"](turned=True), at["scores'"](), count)
            self.over_scores("probabilities", scores, own, _of(mask, first, end), params["causal"], params["scale"])
            multiply(at["own'"](), at["v"](), at["y"](), count)


class AttentionGradient(_Attention):
    name, launches = "attention_grad", 8

    def fits(self, g, q, k, v, mask, scale, causal):
        return self.can_take(q, k)

    def scratch(self, g, q, k, v, mask, scale, causal):
        return self.room(q, k)

    def launches_for(self, g, q, k, v, mask, scale, causal):
        return 8 * -(-q.shape[0] // self.layout(q, k)[0])

    def launch(self, args, outs, params):
        (g, q, k, v, mask), (dq, dk, dv, scratch), multiply = args, outs, self.device.blas.products
        causal, scale = params["causal"], params["scale"]
        named = dict(g=g, q=q, k=k, v=v, dq=dq, dk=dk, dv=dv)
        for first, end, scores, own, table in self.groups(q, k, scratch):
            heads, count = q.shape[2], (end - first) * q.shape[2]
            part = {name: x[first:end] for name, x in named.items()}
            at, pairs = self.matrices({**part, "scores'": scores, "own'": own}, table, heads), _of(mask, first, end)
            multiply(at["q"](), at["k"](turned=True), at["scores'"](), count)
            self.over_scores("probabilities", scores, own, pairs, causal, scale)
            multiply(at["own'"](turned=True), at["g"](), at["dv"](), count)
            multiply(at["g"](), at["v"](turned=True), at["scores'"](), count)
            self.over_scores("score_gradient", scores, own, pairs, causal, scale)
            multiply(at["own'"](), at["k"](), at["dq"](), count)
            multiply(at["own'"](turned=True), at["q"](), at["dk"](), count)


class _Matrices:
    """Matrices of a tensor, as they lie or turned."""

    def __init__(self, pointer, dtype, rows, columns, line):
        self.pointer, self.dtype, self.rows, self.columns, self.line = pointer, dtype, rows, columns, line

    def __call__(self, turned=False):
        rows, columns = (self.columns, self.rows) if turned else (self.rows, self.columns)
        return Matrix(self.pointer, self.dtype, rows, columns, self.line, turned)


def _wide(x):
    """The dtype of NumPy that is computed in."""
    return np.dtype("float64" if dtypes.name_of(x.dtype) == "float64" else "float32")


def _of(mask, first, end):
    """The part of a mask for some samples."""
    return mask[first:end] if mask is not None and mask.ndim == 4 and mask.shape[0] > 1 else mask
