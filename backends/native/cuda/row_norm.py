"""Rows for layer, group and root mean square normalization and their gradients: one launch for what goes to x, one for sums of columns."""

import math

import numpy as np

from mlkit.backends.native.cuda.column_sums import ColumnSums, epsilon_of, pointers, sizes, types, wide
from mlkit.backends.native.cuda.matrix_rows import LANES, MatrixRow, can_count, flag
from mlkit.backends.native.cuda.row import last_axes


def rows(device):
    return [
        LayerNorm(device),
        LayerNormGradient(device),
        GroupNorm(device),
        GroupNormGradient(device),
        RmsNorm(device),
        RmsNormGradient(device),
    ]


class _Parts:
    """What is normalized together: `rows` times `size` elements, in runs of `run` of the `columns` that have a factor each. The matrix of
    all columns has `positions` rows of each sample, `in_all` of all."""

    def __init__(self, rows, size, run, columns):
        self.rows, self.size, self.run, self.columns = rows, size, run, columns
        self.positions, self.in_all = size // run, rows * size // columns

    @classmethod
    def of(cls, x, *, rank=None, groups=None, epsilon):
        """Those of x over its last axes, or of groups of channels."""
        if groups is None:
            rows, size = last_axes(x, rank)
            return cls(rows, size, size, size)
        positions, run = math.prod(x.shape[1:-1]), x.shape[-1] // groups
        return cls(x.shape[0] * groups, positions * run, run, x.shape[-1])

    @property
    def are_groups(self):
        return self.run < self.columns or self.positions > 1


class _RowNorm(MatrixRow):
    """x is normalized by statistics of its parts; a mean of None stands for 0."""

    parts = ("block", "rows", "column_sums", "row_norm")

    def fits(self, x, *rest, **params):
        parts = _Parts.of(x, **params)
        return can_count(parts.rows, parts.size)

    def normalize(self, x, scale, offset, y, mean, variance, params):
        self.over_parts("row_norm", x, dict(x=x, scale=scale, offset=offset, y=y, mean=mean, variance=variance), params)

    def over_parts(self, template, x, arrays, params):
        """Launch a template. arrays: name -> array, in the order of its pointers."""
        parts = _Parts.of(x, **params)
        arguments = [*pointers(x, **arrays), *sizes(rows=parts.rows)]
        arguments += [("unsigned", name, np.uint32(getattr(parts, name))) for name in ("size", "run", "columns")]
        arguments += [epsilon_of(x, params["epsilon"])]
        kinds = [*types(x), LANES, flag(arrays["mean"] is not None), flag(parts.are_groups)]
        moved = [a for name, a in arrays.items() if name not in ("mean", "variance")]
        self.over_rows(template, kinds, arguments, parts.rows, parts.size, moved, run=parts.run)


class _RowNormGradient(ColumnSums, _RowNorm):
    launches = 2

    def fits(self, g, x, *rest, **params):
        return super().fits(x, **params)

    def scratch(self, g, x, *rest, **params):
        parts = _Parts.of(x, **params)
        return 2 * self.split(parts.in_all, parts.columns)[2] * parts.columns * wide(x).itemsize

    def differentiate(self, g, x, scale, mean, variance, dx, d_scale, d_offset, scratch, params):
        self.over_parts("row_norm_gradient", x, dict(g=g, x=x, scale=scale, mean=mean, variance=variance, dx=dx), params)
        parts = _Parts.of(x, **params)
        tiles, length, count = self.split(parts.in_all, parts.columns)
        self.start(
            "row_norm_sums",
            types(x),
            pointers(x, g=g, x=x, mean=mean, variance=variance, found=scratch.view(wide(x)))
            + self.counters()
            + pointers(x, d_scale=d_scale, d_offset=d_offset)
            + sizes(rows=parts.in_all, columns=parts.columns, length=length)
            + [("unsigned", "run", np.uint32(parts.run)), ("unsigned", "positions", np.uint32(parts.positions))]
            + [epsilon_of(x, params["epsilon"])],
            tiles * count,
        )


class LayerNorm(_RowNorm):
    name = "layer_norm"

    def launch(self, args, outs, params):
        self.normalize(*args, *outs, params)


class LayerNormGradient(_RowNormGradient):
    name = "layer_norm_grad"

    def launch(self, args, outs, params):
        self.differentiate(*args, *outs, params)


class GroupNorm(LayerNorm):
    name = "group_norm"


class GroupNormGradient(LayerNormGradient):
    name = "group_norm_grad"


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
