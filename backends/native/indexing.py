"""Kernels that take elements by indices and scatter updates to them, written once over an array module `xp`, numpy today."""

import itertools
import math

import numpy as np

from mlkit.backends.native.device import device_of
from mlkit.backends.native.elementwise import is_half
from mlkit.core.machine import threshold


def make(xp):
    """Op name -> kernel."""
    device = device_of(xp)

    def take(x, index, axis):
        n = x.shape[axis]
        return xp.take(x, device.indices(index, 0, n, f"take: an index is out of range for size {n}."), axis)

    def take_along_axis(x, index, axis):
        lead = [max(a, b) if min(a, b) == 1 else a for a, b in zip(x.shape, index.shape)]
        n = x.shape[axis]
        index = device.indices(index, 0, n, f"take_along_axis: an index is out of range for size {n}.")
        shape = tuple(x.shape[axis] if i == axis else n for i, n in enumerate(lead))
        wide = tuple(index.shape[axis] if i == axis else n for i, n in enumerate(lead))
        return xp.take_along_axis(xp.broadcast_to(x, shape), xp.broadcast_to(index, wide), axis)

    def flat_rows(shape, index):
        """Coordinates in the first axes of `shape` -> numbers of rows, checked."""
        row = xp.zeros(index.shape[:-1], "int64")
        for i, n in enumerate(shape):
            part = device.indices(index[..., i], 0, n, f"scatter: an index along axis {i} is out of range for size {n}.")
            row = row * n + part.astype("int64", copy=False)  # int64 + uint64 would be floats
        return row.ravel()

    def scatter(combine):
        def into(x, index, updates, out):
            k = index.shape[-1]
            width = math.prod(x.shape[k:])
            row = flat_rows(x.shape[:k], index)
            if out is not x:
                xp.copyto(out, x)
            combine(out.reshape(math.prod(x.shape[:k]), width), row, updates.reshape(row.size, width))

        def kernel(x, index, updates):
            out = xp.empty(x.shape, x.dtype)
            into(x, index, updates, out)
            return out

        kernel.into, kernel.inplace = into, ((0, 0),)
        return kernel

    def replace(out, row, updates):
        if xp is not np:  # which of several stays NumPy says, others do not: all write the last one
            order = xp.argsort(row, kind="stable")
            in_order = row[order]
            row, updates = in_order, updates[order[xp.searchsorted(in_order, in_order, side="right") - 1]]
        out[row] = updates

    add_rows = _by_rows(xp, xp.add)

    def sum_rows_into(index, updates, size, out):
        device.fill(out, 0)
        width = math.prod(updates.shape[1:])
        row, updates, out = flat_rows((size,), index[:, None]), updates.reshape(index.size, width), out.reshape(size, width)
        order = xp.argsort(row, kind="stable")
        earlier = order[:-1][row[order[1:]] == row[order[:-1]]]  # updates that are not the last ones of their rows
        if xp is np and 2 * earlier.size < row.size:
            out[row] = updates  # NumPy leaves behind the last ones
            row, updates = row[earlier], updates[earlier]
        add_rows(out, row, updates)

    def sum_rows(index, updates, size):
        out = xp.empty((size, *updates.shape[1:]), updates.dtype)
        sum_rows_into(index, updates, size, out)
        return out

    sum_rows.into = sum_rows_into
    return dict(
        take=take,
        take_along_axis=take_along_axis,
        sum_rows=sum_rows,
        scatter_add=scatter(add_rows),
        scatter_mul=scatter(_by_rows(xp, xp.multiply)),
        scatter_max=scatter(_by_rows(xp, xp.maximum)),
        scatter_min=scatter(_by_rows(xp, xp.minimum)),
        scatter_set=scatter(replace),
    )


WIDE = threshold("rows_in_rounds")
LONG = threshold("long_runs")
BLOCK = threshold("rows_at_a_time")


def _by_rows(xp, function):
    """out[row] = function(out[row], updates) with repeated rows, which are sorted into runs first. Half floats in float32."""
    has_runs = xp is np or function is xp.add  # CuPy sums runs, and has no `reduceat` of other functions

    def combine(out, row, updates):
        if updates.size == 0:
            return
        if is_half(out):
            distinct, place = xp.unique(row, return_inverse=True)
            wide = out[distinct].astype(xp.float32)
            combine(wide, place.ravel(), updates.astype(xp.float32))
            out[distinct] = wide
            return
        order = xp.argsort(row, kind="stable")
        row = row[order]
        starts = xp.flatnonzero(xp.concatenate([xp.ones(1, bool), row[1:] != row[:-1]]))
        if out.shape[1] >= WIDE or not has_runs:
            in_rounds(out, row, updates, order, starts)
            return
        runs = updates[order] if starts.size == row.size else function.reduceat(updates[order], starts, axis=0, dtype=out.dtype)
        out[row[starts]] = function(out[row[starts]], runs)

    def in_rounds(out, row, updates, order, starts):
        """The first rows of all runs, then the second ones and so on, but each long run at once; `reduceat` of wide rows takes
        several times longer."""
        counts = xp.diff(xp.append(starts, row.size))
        is_long = (counts > LONG) & has_runs
        for a, n in zip(starts[is_long].tolist(), counts[is_long].tolist()):
            function(out[row[a]], function.reduce(updates[order[a : a + n]], axis=0, dtype=out.dtype), out=out[row[a]])
        starts, counts = starts[~is_long], counts[~is_long]
        step = max(BLOCK // (out.shape[1] * out.itemsize), 1)
        for i in itertools.count():
            for a in range(0, starts.size, step):
                first = starts[a : a + step]
                rows = row[first]
                new = xp.take(updates, order[first + i], 0)
                out[rows] = function(xp.take(out, rows, 0), new, out=new)
            more = counts > i + 1
            starts, counts = starts[more], counts[more]
            if not starts.size:
                return

    return combine
