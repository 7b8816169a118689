"""Steps that go by indices, in LLVM's language.

An index out of range reads and writes nothing beyond its tensor: it is taken for 0 and noted in `Writer.wrong`, whereupon the loop runs
again in Python, which says what is wrong.
"""

from mlkit.backends.native.jit import expressions
from mlkit.backends.native.jit.places import folded
from mlkit.backends.native.jit.steps import SCATTERS, Extreme, Scattered
from mlkit.core import dtypes
from mlkit.primitives.movement import take
from mlkit.primitives.reduction import argmax


def write(w, step):
    """Write an `Extreme`, a `Taken` or a `Scattered`."""
    if type(step) is Extreme:
        _extreme(w, step)
    elif type(step) is Scattered:
        _scattered(w, step)
    elif step.op is take:
        _taken(w, step)
    else:
        _taken_along(w, step)


def _in_range(w, start, place, indices, size):
    """The index that lies there, as an i64 of 0 to below size."""
    e, b = w.e, w.e.b
    i = w.load(start, place.strides, indices, place.dtype)
    i = i if place.dtype == "int64" else b.sext(i, e.i64)
    is_in = b.icmp_unsigned("<", i, e.index(size))
    b.store(b.or_(b.load(w.wrong, typ=e.i64), b.zext(b.not_(is_in), e.i64)), w.wrong)
    return b.select(is_in, i, e.index(0))


def _without(sizes, axis, count=1):
    return [*sizes[:axis], *sizes[axis + count :]]


def _taken(w, step):
    _, source, index, out, axis = step
    e, k = w.e, len(index.shape)
    read, where, write = w.start(source), w.start(index), w.start(out)
    shape, (of_source, of_out) = folded(
        _without(source.shape, axis), [_without(source.strides, axis), _without(out.strides, axis, k)]
    )

    def one(indices):
        i = _in_range(w, where, index, indices, source.shape[axis])
        row = e.address(read, source.dtype, [source.strides[axis]], [i])
        target = e.address(write, out.dtype, out.strides[axis : axis + k], indices)
        e.nest(shape, lambda at: w.store(w.load(row, of_source, at, source.dtype), target, of_out, at, out.dtype))

    e.nest(index.shape, one)


def _taken_along(w, step):
    _, source, index, out, axis = step
    read, where, write = w.start(source), w.start(index), w.start(out)

    def one(indices):
        i = _in_range(w, where, index, indices, source.shape[axis])
        value = w.load(read, source.strides, [*indices[:axis], i, *indices[axis + 1 :]], source.dtype)
        w.store(value, write, out.strides, indices, out.dtype)

    w.e.nest(out.shape, one)


def _scattered(w, step):
    op, index, updates, out = step
    e, dtype, k, combine = w.e, out.dtype, index.shape[-1], SCATTERS[op]
    lead = len(index.shape) - 1
    read, where, write = w.start(updates), w.start(index), w.start(out)
    shape, (of_updates, of_out) = folded(out.shape[k:], [updates.strides[lead:], out.strides[k:]])

    def one(indices):
        at_index = [e.index(c) for c in range(k)]
        coordinates = [_in_range(w, where, index, [*indices, c], n) for c, n in zip(at_index, out.shape)]
        target = e.address(write, dtype, out.strides[:k], coordinates)
        row = e.address(read, dtype, updates.strides[:lead], indices)

        def element(at):
            value = w.load(row, of_updates, at, dtype)
            if combine is not None:
                value = expressions.emit(e, combine, [w.load(target, of_out, at, dtype), value], {}, dtype)
            w.store(value, target, of_out, at, dtype)

        e.nest(shape, element)

    e.nest(index.shape[:-1], one)


def _extreme(w, step):
    op, source, out, axis = step
    e, b, dtype = w.e, w.e.b, source.dtype
    read, write, sign = w.start(source), w.start(out), ">" if op is argmax else "<"
    of_source, along = _without(source.strides, axis), source.strides[axis]

    def one(indices):
        row = e.address(read, dtype, of_source, indices)

        def better(i, best, place):
            x = w.load(row, [along], [i], dtype)
            if dtypes.is_float(dtype):  # the first NaN is the largest and the smallest
                wins = b.and_(b.fcmp_ordered("ord", best, best), b.fcmp_unordered(sign, x, best))
            else:
                wins = (b.icmp_unsigned if dtype == "bool" else b.icmp_signed)(sign, x, best)
            return b.select(wins, x, best), b.select(wins, i, place)

        first = w.load(row, [along], [e.index(0)], dtype)
        _, place = e.loop(source.shape[axis], better, [first, e.index(0)])
        w.store(b.trunc(place, e.type(out.dtype)), write, out.strides, indices, out.dtype)

    e.nest(_without(source.shape, axis), one)
