"""Rows for batch, layer and root mean square normalization and their gradients.

Statistics of the columns of a matrix, and sums in gradients, are taken in two stages by one launch: parts of the rows, then the parts.
How many parts there are depends on sizes and device alone, so that two runs add in the same order.
"""

import math

import numpy as np

from mlkit.backends.native.cuda.row import KernelRow, computed, last_axes, number, stored, threads_for
from mlkit.core import dtypes

COLUMNS = 32  # that a block has
_FEWEST = 32  # rows of a part
_STORED = ("x", "y", "other", "g", "dx", "passed")
_MOST_PARTS = 512  # more of them take the second stage longer than they save the first


def rows(device):
    return [
        BatchNorm(device, "batch_norm"),
        BatchNorm(device, "batch_norm_relu"),
        BatchNorm(device, "batch_norm_add_relu"),
        BatchNormGradient(device, "batch_norm_grad"),
        BatchNormGradient(device, "batch_norm_relu_grad"),
        BatchNormGradient(device, "batch_norm_add_relu_grad"),
        LayerNorm(device),
        LayerNormGradient(device),
        RmsNorm(device),
        RmsNormGradient(device),
    ]


class _Norm(KernelRow):
    parts = ("block", "norm")

    def split(self, rows, columns):
        """(blocks over columns, rows of a part, parts)"""
        tiles = -(-columns // COLUMNS)
        wanted = max(1, min(-(-rows // _FEWEST), _MOST_PARTS, self.device.most_blocks // tiles))
        length = -(-rows // wanted)
        return tiles, length, -(-rows // length)

    def counters(self):
        return [("unsigned*", "counters", self.device.counters)]


def _wide(x):
    """The dtype of NumPy that is computed in."""
    return np.dtype("float64" if dtypes.name_of(x.dtype) == "float64" else "float32")


def _types(x):
    return [stored(x)[0], computed(x)]


def _pointers(x, /, **arrays):
    """Arguments of a kernel: those of x's shape have the type in memory, all others that which is computed in."""
    return [(f"{stored(x)[0] if name in _STORED else computed(x)}*", name, array) for name, array in arrays.items()]


def _sizes(**sizes):
    return [("long long", name, number(size)) for name, size in sizes.items()]


def _epsilon(x, epsilon):
    return computed(x), "epsilon", _wide(x).type(epsilon)


# ---- batch normalization ---------------------------------------------------------------------------------------------


class _BatchNorm(_Norm):
    launches = 2

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name

    @staticmethod
    def matrix(x, axes):
        """(rows, columns) of x, of which the first axes are averaged over."""
        columns = math.prod(x.shape[len(axes) :])
        return math.prod(x.shape[: len(axes)]), columns

    def room(self, x, axes, factors):
        rows, columns = self.matrix(x, axes)
        return (2 * self.split(rows, columns)[2] + factors) * columns * _wide(x).itemsize

    def over_elements(self, template, x, arguments, arrays):
        """Launch a template that works on eight neighbours at a time. arrays: those that it reads and writes so."""
        wide = all(a.data.ptr % 16 == 0 for a in arrays)
        blocks = max(1, min(-(-x.size // (8 * 256)), self.device.most_blocks))
        self.start(template, _types(x), [*arguments, ("int", "wide", np.int32(wide))], blocks)


def _first(axes):
    return sorted(axes) == list(range(len(axes)))


class BatchNorm(_BatchNorm):
    """With relu behind it, which another tensor may be added before: where its result is above 0 is kept."""

    def fits(self, x, scale, offset, *other, axes, epsilon):
        return _first(axes)

    def scratch(self, x, scale, offset, *other, axes, epsilon):
        return self.room(x, axes, 1)

    def launch(self, args, outs, params):
        (x, scale, offset, *other), (y, mean, variance, *mask, scratch) = args, outs
        (n, columns), found = self.matrix(x, params["axes"]), scratch.view(_wide(x))
        tiles, length, parts = self.split(n, columns)
        factor = found[2 * parts * columns :]
        self.start(
            "moments",
            _types(x),
            _pointers(x, x=x, found=found)
            + self.counters()
            + _pointers(x, scale=scale, mean=mean, variance=variance, factor=factor)
            + _sizes(rows=n, columns=columns, length=length)
            + [_epsilon(x, params["epsilon"])],
            tiles * parts,
        )
        arguments = _pointers(x, x=x, mean=mean, factor=factor, offset=offset, other=other[0] if other else None, y=y)
        arguments += [("unsigned char*", "mask", mask[0] if mask else None), *_sizes(n=x.size, columns=columns)]
        self.over_elements("batch_norm", x, arguments, [x, y, *other])


class BatchNormGradient(_BatchNorm):
    def fits(self, g, x, scale, mean, variance, *mask, axes, epsilon):
        return _first(axes)

    def scratch(self, g, x, scale, mean, variance, *mask, axes, epsilon):
        return self.room(x, axes, 3)

    def launch(self, args, outs, params):
        (g, x, scale, mean, variance, *mask), (dx, d_scale, d_offset, *passed, scratch) = args, outs
        (n, columns), found = self.matrix(x, params["axes"]), scratch.view(_wide(x))
        tiles, length, parts = self.split(n, columns)
        factors, epsilon = found[2 * parts * columns :], _epsilon(x, params["epsilon"])
        mask = [("unsigned char*", "mask", mask[0] if mask else None)]
        self.start(
            "batch_norm_sums",
            _types(x),
            _pointers(x, g=g, x=x, mean=mean, variance=variance)
            + mask
            + _pointers(x, found=found)
            + self.counters()
            + _pointers(x, scale=scale, d_scale=d_scale, d_offset=d_offset, factors=factors)
            + _sizes(rows=n, columns=columns, length=length)
            + [epsilon],
            tiles * parts,
        )
        arguments = _pointers(x, g=g, x=x, mean=mean, factors=factors) + mask
        arguments += _pointers(x, dx=dx, passed=passed[0] if passed else None) + _sizes(n=x.size, columns=columns)
        self.over_elements("batch_norm_gradient", x, arguments, [g, x, dx, *passed])


# ---- layer and root mean square normalization ------------------------------------------------------------------------


class _RowNorm(_Norm):
    """Rows are normalized each by its own statistics; a mean of None stands for 0."""

    def normalize(self, x, scale, offset, y, mean, variance, params):
        n, size = last_axes(x, params["rank"])
        arguments = _pointers(x, x=x, scale=scale, offset=offset, y=y, mean=mean, variance=variance)
        arguments += [*_sizes(rows=n, size=size), _epsilon(x, params["epsilon"])]
        types = [*_types(x), "false" if mean is None else "true"]
        self.start("layer_norm", types, arguments, min(n, self.device.most_blocks), threads_for(size))


class _RowNormGradient(_Norm):
    launches = 2

    def scratch(self, g, x, *rest, rank, epsilon):
        n, size = last_axes(x, rank)
        return 2 * self.split(n, size)[2] * size * _wide(x).itemsize

    def differentiate(self, g, x, scale, mean, variance, dx, d_scale, d_offset, scratch, params):
        (n, size), found, epsilon = last_axes(x, params["rank"]), scratch.view(_wide(x)), _epsilon(x, params["epsilon"])
        arguments = _pointers(x, g=g, x=x, scale=scale, mean=mean, variance=variance, dx=dx) + _sizes(rows=n, size=size)
        types = [*_types(x), "false" if mean is None else "true"]
        blocks = min(n, self.device.most_blocks)
        self.start("layer_norm_gradient", types, [*arguments, epsilon], blocks, threads_for(size))
        tiles, length, parts = self.split(n, size)
        self.start(
            "layer_norm_sums",
            _types(x),
            _pointers(x, g=g, x=x, mean=mean, variance=variance, found=found)
            + self.counters()
            + _pointers(x, d_scale=d_scale, d_offset=d_offset)
            + _sizes(rows=n, columns=size, length=length)
            + [epsilon],
            tiles * parts,
        )


class LayerNorm(_RowNorm):
    name = "layer_norm"

    def launch(self, args, outs, params):
        self.normalize(*args, *outs, params)


class LayerNormGradient(_RowNormGradient):
    name = "layer_norm_grad"

    def launch(self, args, outs, params):
        self.differentiate(*args, *outs, params)


class RmsNorm(_RowNorm):
    name = "rms_norm"

    def launch(self, args, outs, params):
        (x, scale), (y, square) = args, outs
        self.normalize(x, scale, None, y, None, square, params)


class RmsNormGradient(_RowNormGradient):
    name = "rms_norm_grad"

    def launch(self, args, outs, params):
        (g, x, scale, square), (dx, d_scale, scratch) = args, outs
        self.differentiate(g, x, scale, None, square, dx, d_scale, None, scratch, params)
