"""Products of small matrices: blocks of the result stay in registers while the sums go on."""

from mlkit.backends.native.jit.emitter import CONTRACT
from mlkit.backends.native.jit.library import ir
from mlkit.core import dtypes

_ROWS = 6  # of a block
_TERMS = 128  # that are added one to the other; BLAS has as many beside one another


def write(w, step):
    """Write a `Product`."""
    lead = len(step.out.shape) - 2
    starts = [w.start(p) for p in (step.a, step.b, step.out)]

    def one(indices):
        at = [w.e.address(s, p.dtype, p.strides[:lead], indices) for s, p in zip(starts, (step.a, step.b, step.out))]
        _Blocks(w, step, *at).write()

    w.e.nest(step.out.shape[:lead], one)


class _Blocks:
    """One product of matrices: m x k times k x n."""

    def __init__(self, w, step, a, b, out):
        self.w, self.e, self.a, self.b, self.out = w, w.e, a, b, out
        self.dtype = step.out.dtype
        self.m, self.n = step.out.shape[-2:]
        self.k = step.a.shape[-1]
        self.of_a, self.of_b, self.of_out = (p.strides[-2:] for p in (step.a, step.b, step.out))
        self.is_float = dtypes.is_float(self.dtype)

    def write(self):
        lanes = self.w.vector // dtypes.itemsize(self.dtype)
        most = 4 if self.w.vector == 64 else 2  # registers of a block's row
        whole = most * lanes
        if self.n >= whole:
            self.e.loop(self.n // whole, lambda i: self._columns(i, whole, 0, [lanes] * most), rolled=True)
        first, left = self.n // whole * whole, self.n % whole
        widths = [lanes] * (left // lanes)
        left %= lanes
        while left:
            width = 1 << left.bit_length() - 1
            widths.append(width)
            left -= width
        if widths:
            self._columns(self.e.index(0), 0, first, widths)

    def _columns(self, i, step, first, widths):
        """All rows of some columns, from i * step + first on, in registers of these widths."""
        column = self.e.b.add(self.e.b.mul(i, self.e.index(step)), self.e.index(first))
        if self.m >= _ROWS:
            block = lambda j: self._block(self.e.b.mul(j, self.e.index(_ROWS)), _ROWS, column, widths)
            self.e.loop(self.m // _ROWS, block, rolled=True)
        if self.m % _ROWS:
            self._block(self.e.index(self.m // _ROWS * _ROWS), self.m % _ROWS, column, widths)

    def _block(self, row, rows, column, widths):
        e, item = self.e, dtypes.itemsize(self.dtype)
        offsets = [sum(widths[:k]) for k in range(len(widths))]
        types = [ir.VectorType(e.type(self.dtype), n) for n in widths]
        zeros = [ir.Constant(t, [e.number(0, self.dtype)] * t.count) for t in types]
        rows_of = [e.b.add(row, e.index(r)) for r in range(rows)]

        def at(base, strides, r, c, more=0):
            moved = e.b.add(c, e.index(more)) if more else c
            return e.address(base, self.dtype, strides, [r, moved])

        def step(k, *sums):
            found = []
            right = []
            for offset, t in zip(offsets, types):
                right.append(e.b.load(at(self.b, (self.of_b[0], item), k, column, offset), typ=t, align=item))
            for r in range(rows):
                left = e.b.load(at(self.a, self.of_a, rows_of[r], k), typ=e.type(self.dtype))
                for c, t in enumerate(types):
                    found.append(self._added(sums[r * len(types) + c], self._spread(left, t), right[c]))
            return found

        sums = self._summed(step, zeros * rows)
        for r in range(rows):
            for c, offset in enumerate(offsets):
                e.b.store(
                    sums[r * len(types) + c], at(self.out, (self.of_out[0], item), rows_of[r], column, offset), align=item
                )

    def _summed(self, step, zeros):
        """What ``step(k, *sums)`` makes of zeros for all k. Long sums are sums of sums, whose rounding errors grow slowly."""
        e = self.e
        if self.k <= 2 * _TERMS:
            return e.loop(self.k, step, zeros, rolled=True)

        def part(first, count):
            return e.loop(count, lambda i, *sums: step(e.b.add(first, i), *sums), zeros, rolled=True)

        def add(totals, sums):
            return [(e.b.fadd if self.is_float else e.b.add)(t, s) for t, s in zip(totals, sums)]

        whole = self.k // _TERMS
        totals = e.loop(whole, lambda j, *totals: add(totals, part(e.b.mul(j, e.index(_TERMS)), _TERMS)), zeros, rolled=True)
        return add(totals, part(e.index(whole * _TERMS), self.k % _TERMS))

    def _spread(self, x, kind):
        """A vector of one number."""
        b, undefined = self.e.b, ir.Constant(kind, ir.Undefined)
        one = b.insert_element(undefined, x, ir.Constant(ir.IntType(32), 0))
        return b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count))

    def _added(self, total, x, y):
        if not self.is_float:
            return self.e.b.add(total, self.e.b.mul(x, y))
        return self.e.b.fadd(total, self.e.b.fmul(x, y, flags=CONTRACT), flags=CONTRACT)
