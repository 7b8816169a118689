"""Rows for softmax, its logarithm and cross-entropy over the last axis: one launch each."""

import numpy as np

from mlkit.backends.native.cuda.matrix_rows import LANES, MatrixRow, can_count, flag
from mlkit.backends.native.cuda.row import computed, last_axes, number, stored


def rows(device):
    return [
        Softmax(device, "softmax"),
        Softmax(device, "log_softmax"),
        SoftmaxGradient(device, "softmax_grad"),
        SoftmaxGradient(device, "log_softmax_grad"),
        CrossEntropy(device),
        CrossEntropyGradient(device),
    ]


class _OfRows(MatrixRow):
    parts = ("block", "rows", "softmax")

    def __init__(self, device, name=None):
        super().__init__(device)
        self.name = name or self.name

    def of_rows(self, template, x, types, /, **arrays):
        """Launch a template over the rows of x. arrays: what its pointers are called, in their order."""
        rows, size = last_axes(x)
        arguments = [(f"{stored(a)[0]}*", name, a) for name, a in arrays.items()]
        arguments += [("long long", "rows", number(rows)), ("unsigned", "size", np.uint32(size))]
        of_rows = [a for a in arrays.values() if a.shape == x.shape]
        self.over_rows(template, [stored(x)[0], computed(x), *types], arguments, rows, size, of_rows)


class Softmax(_OfRows):
    def fits(self, x, axis):
        return axis in (-1, len(x.shape) - 1) and can_count(x.shape[-1])

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        self.of_rows("softmax", x, [LANES, flag(self.name == "log_softmax")], x=x, y=y)


class SoftmaxGradient(_OfRows):
    def fits(self, g, y, axis):
        return axis in (-1, len(y.shape) - 1) and can_count(y.shape[-1])

    def launch(self, args, outs, params):
        (g, y), (dx,) = args, outs
        self.of_rows("softmax_gradient", y, [LANES, flag(self.name == "log_softmax_grad")], g=g, y=y, dx=dx)


class CrossEntropy(_OfRows):
    name = "softmax_cross_entropy"

    def fits(self, x, target):
        return can_count(x.shape[-1])

    def launch(self, args, outs, params):
        (x, target), (loss, total) = args, outs
        arrays = dict(x=x, target=target, loss=loss, total=total)
        if target.ndim == x.ndim:
            self.of_rows("cross_entropy_of_weights", x, [LANES], **arrays)
        else:
            self.of_rows("cross_entropy", x, [*stored(target), LANES], **arrays)


class CrossEntropyGradient(_OfRows):
    name = "softmax_cross_entropy_grad"

    def fits(self, g, x, target, total):
        return can_count(x.shape[-1])

    def launch(self, args, outs, params):
        (g, x, target, total), (dx,) = args, outs
        arrays = dict(g=g, x=x, target=target, total=total, dx=dx)
        if target.ndim == x.ndim:
            self.of_rows("cross_entropy_of_weights_gradient", x, [LANES], **arrays)
        else:
            self.of_rows("cross_entropy_gradient", x, [*stored(target), LANES], **arrays)
