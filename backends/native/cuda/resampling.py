"""Rows that resample images between the centres of cells, nearest and linear, and their gradients: one launch each."""

import math

import numpy as np

from mlkit.backends.native.cuda.row import FLOATS, KernelRow, computed, number, numbering, stored, unit

_MOST_AXES = 3
_LONGEST = 2**22  # cells of an axis, whose halves float32 has


def rows(device):
    return [Resample(device), ResampleGradient(device)]


class _Resampling(KernelRow):
    parts = ("units", "resampling")

    def fits(self, x, size, method):
        return len(size) <= _MOST_AXES and max(*x.shape[1:-1], *size) <= _LONGEST and min(size) > 0

    def over(self, template, types, arguments, result, channels, image, resampled, wide):
        """Launch. channels: units of each cell; image, resampled: the sizes of what is resampled and of what comes of it."""
        kind = np.float64 if wide == "double" else np.float32
        is_nearest = template == "resample_nearest" or types[0] == "false"
        axes = [(n, m, _step(n, m, kind, is_nearest)) for n, m in zip(image, resampled)]
        axes = [(1, 1, kind(1))] * (_MOST_AXES - len(axes)) + axes
        cells = result.shape[0] * math.prod(result.shape[1:-1])
        units = cells * channels
        most = max(units, result.shape[0] * channels * max(math.prod(image), math.prod(resampled)))
        arguments += [("long long", "all", number(units)), ("long long", "channels", number(channels))]
        for k, (n, m, step) in enumerate(axes):
            arguments += [("int", f"n{k}", np.int32(n)), ("int", f"m{k}", np.int32(m)), (wide, f"step{k}", step)]
        self.start(template, [*types, numbering(most)], arguments, max(1, min(-(-units // 256), self.device.most_blocks)))


def _step(n, m, kind, is_nearest):
    """How far apart the centres of m cells lie among n: rounded as the definition does."""
    if is_nearest:
        return kind(np.float32(n) * (np.float32(1) / np.float32(m)))
    return kind(1 / (m / n))


class Resample(_Resampling):
    name = "resample"
    dtypes = (*FLOATS, "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        channels, sizes = x.shape[-1], (x.shape[1:-1], params["size"])
        if params["method"] == "linear":
            kind, wide = stored(x)[0], computed(x)
            arguments = [(f"{kind}*", "x", x), (f"{kind}*", "y", y)]
            self.over("resample_linear", [kind, wide], arguments, y, channels, *sizes, wide)
        else:
            size, kind = unit([channels * x.itemsize], (x, y))
            arguments = [(f"{kind}*", "x", x), (f"{kind}*", "y", y)]
            self.over("resample_nearest", [kind], arguments, y, channels * x.itemsize // size, *sizes, "float")


class ResampleGradient(_Resampling):
    name = "resample_grad"

    def launch(self, args, outs, params):
        (g,), (dx,) = args, outs
        kind, wide = stored(g)[0], computed(g)
        arguments = [(f"{kind}*", "g", g), (f"{kind}*", "dx", dx)]
        types = ["true" if params["method"] == "linear" else "false", kind, wide]
        self.over("resample_gradient", types, arguments, dx, g.shape[-1], params["size"], g.shape[1:-1], wide)
