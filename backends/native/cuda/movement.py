"""Rows that move elements: concatenation and padding in one launch each, and dense copies of what is transposed, sliced or turned round."""

import math

import numpy as np

from mlkit.backends.native.cuda.row import KernelRow, Launcher, number, numbering, unit
from mlkit.core import dtypes, layout

_MOST_AXES = 5  # that are left when neighbours are taken together
_AT_ONCE = 8  # tensors that one launch concatenates
_TILE = 8  # elements along both axes from which on copies go by tiles


def rows(device):
    return [Concat(device), Pad(device), Reshape(device)]


def _sizes(**sizes):
    return [("long long", name, number(size)) for name, size in sizes.items()]


def _each(letter, sizes, first=0):
    return _sizes(**{f"{letter}{i}": size for i, size in enumerate(sizes[first:], first)})


class _Moving(KernelRow):
    parts = ("units", "movement")

    def blocks(self, units):
        return max(1, min(-(-units // 256), self.device.most_blocks))


class Concat(_Moving):
    name = "concat"

    def accepts(self, *xs, axis):
        return all(x.dtype == xs[0].dtype for x in xs) and any(0 not in x.shape for x in xs)

    def launches_for(self, *xs, axis):
        return -(-sum(0 not in x.shape for x in xs) // _AT_ONCE)

    def launch(self, args, outs, params):
        axis, (y,) = params["axis"], outs
        xs = [x for x in args if x.size]
        rows = math.prod(y.shape[:axis])
        widths, pitch = [x.nbytes // rows for x in xs], y.nbytes // rows
        size, kind = unit([pitch, *widths], (y, *xs))
        to = y.reshape(-1).view("uint8")
        for k in range(0, len(xs), _AT_ONCE):
            some, more = xs[k : k + _AT_ONCE], _AT_ONCE - len(xs[k : k + _AT_ONCE])
            own = [w // size for w in widths[k : k + _AT_ONCE]]
            arguments = [(f"{kind}*", "y", to[sum(widths[:k]) :]), *_sizes(rows=rows, pitch=pitch // size)]
            arguments += [(f"{kind}*", f"x{i}", x) for i, x in enumerate([*some, *[None] * more])] + _each(
                "w", own + [0] * more
            )
            units = rows * sum(own)
            self.start("concat", [kind, numbering(units)], arguments, self.blocks(units))


class Pad(_Moving):
    name = "pad"

    def accepts(self, x, value, low, high, interior):
        return 0 not in x.shape and len(_padded(x.shape, low, high, interior)) <= _MOST_AXES

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        axes = _padded(x.shape, params["low"], params["high"], params["interior"])
        n, low, m, step = axes[-1]
        size, kind = unit([k * x.itemsize for k in (n, low, m)] if step == 1 else [x.itemsize], (x, y))
        size, kind = max((size, kind), (x.itemsize, unit([x.itemsize], ())[1]))
        axes[-1] = (*(k * x.itemsize // size for k in (n, low, m)), step)
        axes = [(1, 0, 1, 1)] * (_MOST_AXES - len(axes)) + axes
        ns, lows, ms, steps = zip(*axes)
        bits = np.full(16 // x.itemsize, params["value"], x.dtype).view("uint64")
        units = math.prod(ms)
        arguments = [(f"{kind}*", "x", x), (f"{kind}*", "y", y)]
        arguments += [("unsigned long long", f"{name}_bits", word) for name, word in zip(("low", "high"), bits)]
        arguments += [*_sizes(all=units), *_each("m", ms, 1), *_each("n", ns), *_each("l", lows), *_each("d", steps)]
        self.start("pad", [kind, numbering(units)], arguments, self.blocks(units))


def _padded(shape, low, high, interior):
    """(elements of x, elements before them, elements of y, their distance in y) of each axis, those taken together with the one before
    that are not padded."""
    axes = []
    for n, before, after, between in zip(shape, low, high, interior):
        m, is_whole = before + n + (n - 1) * between + after, not (before or after or between)
        if axes and is_whole and axes[-1][3] == 1:
            axes[-1] = (*(k * n for k in axes[-1][:3]), 1)
        else:
            axes.append((n, before, m, between + 1))
    return axes or [(1, 0, 1, 1)]


class Reshape:
    """Of memory that is not dense, which is copied where the new shape cannot be seen in it."""

    name, launches = "reshape", 1

    def __init__(self, device):
        self.device = device

    def accepts(self, x, shape):
        return True

    def __call__(self, x, shape):
        is_view = layout.reshape(x.shape, x.strides, shape) is not None
        return (x if is_view else self.device.dense(x)).reshape(shape)

    def into(self, x, shape, out):
        self.device.copy_into(x, out.reshape(x.shape))


class StridedCopy(Launcher):
    """Copies what lies in any steps into a dense array of the same shape and dtype."""

    parts = _Moving.parts
    blocks = _Moving.blocks

    def __call__(self, x, y):
        """Whether it was done: not where too many axes lie across each other."""
        axes = _folded(x.shape, x.strides)
        if len(axes) > _MOST_AXES:
            return False
        n, step = axes[-1]
        is_dense = step == x.itemsize
        lengths = [n * step, *(s for _, s in axes[:-1])] if is_dense else [x.itemsize]
        size, kind = unit(lengths, (x, y))
        if size < x.itemsize:  # an array that does not begin where its elements may
            return False
        axes = [(k, s // size) for k, s in axes[:-1]] + [(n * step // size, 1) if is_dense else (n, step // size)]
        down = next((i for i, (k, s) in enumerate(axes[:-1]) if s == 1 and k >= _TILE), None)
        if down is not None and axes[-1][0] >= _TILE and not is_dense:
            self.by_tiles(x, y, kind, axes, down)
        else:
            ns, steps = zip(*[(1, 0)] * (_MOST_AXES - len(axes)), *axes)
            units = math.prod(ns)
            arguments = [(f"{kind}*", "x", x), (f"{kind}*", "y", y)]
            arguments += [*_sizes(all=units), *_each("n", ns, 1), *_each("s", steps)]
            self.start("strided_copy", [kind, numbering(units)], arguments, self.blocks(units))
        return True

    def by_tiles(self, x, y, kind, axes, down):
        ns = [n for n, _ in axes]
        across, step_across = axes[-1]
        others = [(n, s, math.prod(ns[i + 1 :])) for i, (n, s) in enumerate(axes[:-1]) if i != down]
        n, s, t = zip(*[(1, 0, 0)] * (_MOST_AXES - 2 - len(others)), *others)
        sizes = dict(down=ns[down], across=across, step_across=step_across, step_down=math.prod(ns[down + 1 :]))
        arguments = [
            (f"{kind}*", "x", x),
            (f"{kind}*", "y", y),
            *_sizes(**sizes),
            *_each("n", n),
            *_each("s", s),
            *_each("t", t),
        ]
        tiles = math.prod(n) * -(-ns[down] // 32) * -(-across // 32)
        self.start("turned_copy", [kind], arguments, max(1, min(tiles, self.device.most_blocks)))


def _folded(shape, strides):
    """(size, step in bytes) of each axis, without those of size 1, neighbours taken together that are one axis in memory."""
    axes = []
    for n, step in zip(shape, strides):
        if n == 1:
            continue
        if axes and axes[-1][1] == n * step:
            axes[-1] = axes[-1][0] * n, step
        else:
            axes.append((n, step))
    return axes or [(1, dtypes.itemsize("uint8"))]
