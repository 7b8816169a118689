"""Steps in LLVM's language: passes over elements, and reductions. Products are in `product`, what goes by indices in `indexing`."""

from mlkit.backends.native.jit import expressions, indexing, product
from mlkit.backends.native.jit.places import folded
from mlkit.backends.native.jit.steps import Map, Product, Reduction
from mlkit.core import dtypes, layout
from mlkit.primitives import elementwise as el
from mlkit.primitives.reduction import max_, min_, prod
from mlkit.primitives.shape import sum_


class Writer:
    """Writes steps. bases: Buffer -> the pointer to it; vector: bytes of the widest registers; turn: number of the turn, as a value; wrong:
    the pointer to a number that is 1 where an index was out of range."""

    def __init__(self, e, bases, vector):
        self.e, self.bases, self.vector, self.turn = e, bases, vector, None
        self.wrong = e.b.alloca(e.i64)
        e.b.store(e.index(0), self.wrong)

    def write(self, step):
        if type(step) is Map:
            self._map(step)
        elif type(step) is Reduction:
            self._reduce(step)
        elif type(step) is Product:
            product.write(self, step)
        else:
            indexing.write(self, step)

    # ---- elements ----------------------------------------------------------------------------------------------------

    def start(self, place):
        """The pointer to the first element of a place in this turn."""
        e, item = self.e, dtypes.itemsize(place.dtype)
        offset = e.index(place.offset // item)
        if place.turn:
            offset = e.b.add(e.b.mul(self.turn, e.index(place.turn // item)), offset)
        return e.b.gep(self.bases[place.buffer], [offset], inbounds=True, source_etype=e.stored(place.dtype))

    def load(self, start, strides, indices, dtype):
        return self.e.load(self.e.address(start, dtype, strides, indices), dtype)

    def store(self, value, start, strides, indices, dtype):
        self.e.store(value, self.e.address(start, dtype, strides, indices), dtype)

    # ---- passes ------------------------------------------------------------------------------------------------------

    def _map(self, step):
        places = [*step.loads, *(p for _, p in step.stores)]
        shape, strides = folded(step.shape, [p.strides for p in places])
        starts = [self.start(p) for p in places]
        n = len(step.loads)

        def element(indices):
            values = [self.load(starts[k], strides[k], indices, p.dtype) for k, p in enumerate(step.loads)]
            for op, args, params, dtype in step.ops:
                values.append(expressions.emit(self.e, op, self._arguments(op, args, dtype, values), params, dtype))
            for k, (i, p) in enumerate(step.stores):
                self.store(values[i], starts[n + k], strides[n + k], indices, p.dtype)

        self.e.nest(shape, element)

    def _arguments(self, op, args, dtype, values):
        def one(k, a):
            return values[a] if type(a) is int else self.e.number(a[0], "bool" if op is el.where and k == 0 else dtype)

        return [one(k, a) for k, a in enumerate(args)]

    # ---- reductions --------------------------------------------------------------------------------------------------

    def _reduce(self, step):
        source, out = step.source, step.out
        kept = [a for a in range(len(source.shape)) if a not in step.axes]
        away = list(step.axes)
        dense = layout.contiguous([source.shape[a] for a in kept], dtypes.itemsize(out.dtype))
        shape, (of_source, of_out) = folded([source.shape[a] for a in kept], [[source.strides[a] for a in kept], dense])
        along, (of_away,) = folded([source.shape[a] for a in away], [[source.strides[a] for a in away]])
        item = dtypes.itemsize(source.dtype)
        if shape and of_source[-1] == item and (not along or of_away[-1] != item):
            self._reduce_rows(step, shape, of_source, of_out, along, of_away)
        else:
            self._reduce_each(step, shape, of_source, of_out, along, of_away)

    def _reduce_each(self, step, shape, of_source, of_out, along, of_away):
        """One result after the other."""
        read, write, dtype = self.start(step.source), self.start(step.out), step.source.dtype

        def one(indices):
            def add(at, total):
                return self._combined(step.op, total, self.load(read, [*of_source, *of_away], [*indices, *at], dtype), dtype)

            total = self._sum_over(along, add, self.e.number(_START[step.op], dtype), step, read, of_source, indices)
            self.store(total, write, of_out, indices, dtype)

        self.e.nest(shape, one)

    def _sum_over(self, along, add, start, step, read, of_source, indices):
        if step.op in (max_, min_):
            start = self.load(read, of_source, indices, step.source.dtype)

        def level(k, at, total):
            if k == len(along):
                return add(at, total)
            return self.e.loop(along[k], lambda i, t: [level(k + 1, [*at, i], t)], [total])[0]

        return level(0, [], start)

    def _reduce_rows(self, step, shape, of_source, of_out, along, of_away):
        """Rows of results, which rows of the source are added to one by one."""
        read, write, dtype = self.start(step.source), self.start(step.out), step.source.dtype
        outer, n = shape[:-1], shape[-1]

        def begin(indices):
            if step.op in (max_, min_):
                value = self.load(read, of_source, indices, dtype)
            else:
                value = self.e.number(_START[step.op], dtype)
            self.store(value, write, of_out, indices, dtype)

        def rows(indices):
            self.e.nest([n], begin, indices)

            def row(at):
                def element(i):
                    whole = [*at[: len(indices)], i]
                    new = self.load(read, [*of_source, *of_away], [*whole, *at[len(indices) :]], dtype)
                    old = self.load(write, of_out, whole, dtype)
                    self.store(self._combined(step.op, old, new, dtype), write, of_out, whole, dtype)

                self.e.loop(n, element)

            self.e.nest(along, row, indices)

        self.e.nest(outer, rows)

    def _combined(self, op, total, value, dtype):
        if op is sum_ and dtypes.is_float(dtype):
            return self.e.b.fadd(total, value, flags=("reassoc",))  # by which several run beside one another
        if op is prod and dtypes.is_float(dtype):
            return self.e.b.fmul(total, value, flags=("reassoc",))
        return expressions.emit(self.e, _PAIRS[op], [total, value], {}, dtype)


_PAIRS = {sum_: el.add, prod: el.mul, max_: el.maximum, min_: el.minimum}
_START = {sum_: 0, prod: 1, max_: 0, min_: 0}
