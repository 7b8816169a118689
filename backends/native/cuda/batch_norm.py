"""Rows for batch normalization and its gradient: statistics of the columns of a matrix in one launch, then all elements in another."""

import math

import numpy as np

from mlkit.backends.native.cuda.column_sums import ColumnSums, epsilon_of, pointers, sizes, types, wide
from mlkit.backends.native.cuda.row import KernelRow

_OF_BLOCK = 8 * 256  # elements that a block has at a time


def rows(device):
    return [
        BatchNorm(device, "batch_norm"),
        BatchNorm(device, "batch_norm_relu"),
        BatchNorm(device, "batch_norm_add_relu"),
        BatchNormGradient(device, "batch_norm_grad"),
        BatchNormGradient(device, "batch_norm_relu_grad"),
        BatchNormGradient(device, "batch_norm_add_relu_grad"),
    ]


class _BatchNorm(ColumnSums, KernelRow):
    parts, launches = ("block", "rows", "column_sums", "batch_norm"), 2

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
        return (2 * self.split(rows, columns)[2] + factors) * columns * wide(x).itemsize

    def over_elements(self, template, x, columns, arguments, arrays):
        """Launch a template that works on eight neighbours at a time, each thread on the same columns. arrays: those that it reads and
        writes so."""
        are_wide = all(a.data.ptr % 16 == 0 for a in arrays)
        blocks = -(-x.size // _OF_BLOCK)
        if blocks > self.device.most_blocks:  # they have more than one turn: whole rows in each
            unit = columns // math.gcd(columns, _OF_BLOCK)
            blocks = max(1, self.device.most_blocks // unit) * unit
        self.start(template, types(x), [*arguments, ("int", "wide", np.int32(are_wide))], blocks)


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
        (n, columns), found = self.matrix(x, params["axes"]), scratch.view(wide(x))
        tiles, length, parts = self.split(n, columns)
        factor = found[2 * parts * columns :]
        self.start(
            "moments",
            types(x),
            pointers(x, x=x, found=found)
            + self.counters()
            + pointers(x, scale=scale, mean=mean, variance=variance, factor=factor)
            + sizes(rows=n, columns=columns, length=length)
            + [epsilon_of(x, params["epsilon"])],
            tiles * parts,
        )
        arguments = pointers(x, x=x, mean=mean, factor=factor, offset=offset, other=other[0] if other else None, y=y)
        arguments += [("unsigned char*", "mask", mask[0] if mask else None), *sizes(n=x.size, columns=columns)]
        self.over_elements("batch_norm", x, columns, arguments, [x, y, *other])


class BatchNormGradient(_BatchNorm):
    def fits(self, g, x, scale, mean, variance, *mask, axes, epsilon):
        return _first(axes)

    def scratch(self, g, x, scale, mean, variance, *mask, axes, epsilon):
        return self.room(x, axes, 3)

    def launch(self, args, outs, params):
        (g, x, scale, mean, variance, *mask), (dx, d_scale, d_offset, *passed, scratch) = args, outs
        (n, columns), found = self.matrix(x, params["axes"]), scratch.view(wide(x))
        tiles, length, parts = self.split(n, columns)
        factors, epsilon = found[2 * parts * columns :], epsilon_of(x, params["epsilon"])
        mask = [("unsigned char*", "mask", mask[0] if mask else None)]
        self.start(
            "batch_norm_sums",
            types(x),
            pointers(x, g=g, x=x, mean=mean, variance=variance)
            + mask
            + pointers(x, found=found)
            + self.counters()
            + pointers(x, scale=scale, d_scale=d_scale, d_offset=d_offset, factors=factors)
            + sizes(rows=n, columns=columns, length=length)
            + [epsilon],
            tiles * parts,
        )
        arguments = pointers(x, g=g, x=x, factors=factors) + mask
        arguments += pointers(x, dx=dx, passed=passed[0] if passed else None) + sizes(n=x.size, columns=columns)
        self.over_elements("batch_norm_gradient", x, columns, arguments, [g, x, dx, *passed])
