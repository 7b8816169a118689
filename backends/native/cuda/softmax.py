"""Rows for softmax, its logarithm and cross-entropy over the last axis: one launch each."""

from mlkit.backends.native.cuda.row import KernelRow, computed, last_axes, number, stored, threads_for
from mlkit.core import dtypes


def rows(device):
    return [
        Softmax(device, "softmax"),
        Softmax(device, "log_softmax"),
        SoftmaxGradient(device, "softmax_grad"),
        SoftmaxGradient(device, "log_softmax_grad"),
        CrossEntropy(device),
        CrossEntropyGradient(device),
    ]


class _OfRows(KernelRow):
    parts = ("block", "softmax")

    def __init__(self, device, name=None):
        super().__init__(device)
        self.name = name or self.name

    def of_rows(self, template, x, arrays, arguments, types, flag=None):
        """Launch a template with a block for each row of x. arguments: names of the pointers among its parameters."""
        (rows, size), names = last_axes(x), "_".join(dtypes.name_of(a.dtype) for a in types)
        inside = ", ".join([*arguments, "rows", "size", *([] if flag is None else [flag])])
        kinds = ", ".join([stored(types[0])[0], computed(types[0]), *stored(*types[1:])])
        parameters = ", ".join(
            [*(f"{kind}* {a}" for kind, a in zip(stored(*arrays), arguments)), "long long rows", "long long size"]
        )
        blocks = min(rows, self.device.most_blocks)
        function = f"{self.name}_{names}_{template}"
        self.run(
            function,
            parameters,
            f"{template}<{kinds}>({inside})",
            blocks,
            threads_for(size),
            [*arrays, number(rows), number(size)],
        )


class Softmax(_OfRows):
    def fits(self, x, axis):
        return axis in (-1, len(x.shape) - 1)

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        self.of_rows("softmax", x, [x, y], ["x", "y"], [x], "true" if self.name == "log_softmax" else "false")


class SoftmaxGradient(_OfRows):
    def fits(self, g, y, axis):
        return axis in (-1, len(y.shape) - 1)

    def launch(self, args, outs, params):
        (g, y), (dx,) = args, outs
        flag = "true" if self.name == "log_softmax_grad" else "false"
        self.of_rows("softmax_gradient", y, [g, y, dx], ["g", "y", "dx"], [y], flag)


class CrossEntropy(_OfRows):
    name = "softmax_cross_entropy"

    def launch(self, args, outs, params):
        (x, target), (loss, total) = args, outs
        of_weights = target.ndim == x.ndim
        template = "cross_entropy_of_weights" if of_weights else "cross_entropy"
        self.of_rows(
            template, x, [x, target, loss, total], ["x", "target", "loss", "total"], [x] if of_weights else [x, target]
        )


class CrossEntropyGradient(_OfRows):
    name = "softmax_cross_entropy_grad"

    def launch(self, args, outs, params):
        (g, x, target, total), (dx,) = args, outs
        of_weights = target.ndim == x.ndim
        template = "cross_entropy_of_weights_gradient" if of_weights else "cross_entropy_gradient"
        arrays, names = [g, x, target, total, dx], ["g", "x", "target", "total", "dx"]
        self.of_rows(template, x, arrays, names, [x] if of_weights else [x, target])
