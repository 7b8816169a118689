"""The kernel table: for each op its rows, best first. A row may decline arguments, then the next one runs."""

import importlib

from mlkit.core.interpreter import EAGER
from mlkit.core.op import OPS
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor

_PARTS = (
    "elementwise", "special_functions", "reduction", "movement", "indexing", "sorting", "matmul", "random", "fused", "norm",
    "attention", "recurrent", "fourier", "window", "epilogue", "widening", "linalg", "control", "tiled_chain", "update",
    "foreign", "collectives",
)  # fmt: skip


class Rows:
    """Several kernels for one op, best first. The last one accepts everything.

    A row is a pair (accepts, kernel), where `accepts(*args, **params)` looks at shapes and dtypes only, so that a plan can choose
    once. A kernel may have `into`, the same with an argument `out`, for plans; if it has `scratch(*args, **params)` beside it, `into` is
    given an array of so many bytes as its argument `scratch`, unless they are none. Or a row is an object with

    accepts(*args, **params)         the same; it may decline anything
    __call__(*arrays, **params)      the kernel; it returns NotImplemented to decline after all
    prepare(operands, outs, params)  for plans: given an `Operand` for each argument (scalars and None as they are) and each result, an
                                     object that can be bound to memory, or None to decline (strides, say). That object has
                                       workspace     bytes of temporary memory that it wants
                                       inplace       pairs (i, k): result i may lie where argument k lies
                                       bind(arrays)  a function to run, which returns 0 or the number of an error. `arrays`: those of
                                                     arguments, results and workspace (if any) that have a fixed place, and None for
                                                     the others, which the function takes, in this order.
    """

    __slots__ = ("rows",)

    def __init__(self, *rows):
        self.rows = [(r.accepts, r) if hasattr(r, "accepts") else r for r in rows]

    def candidates(self, args, params):
        """The kernels that accept the arguments (arrays or anything with shape and dtype)."""
        for accepts, kernel in self.rows:
            if accepts is None or accepts(*args, **params):
                yield kernel

    def declines(self, *args, **params):
        """Whether only the fallback of the op is left for such arguments."""
        return isinstance(self.rows[-1][1], ByFallback) and isinstance(self.choose(args, params), ByFallback)

    def choose(self, args, params):
        """The first of the candidates."""
        return next(self.candidates(args, params))

    def __call__(self, *args, **params):
        for kernel in self.candidates(args, params):
            result = kernel(*args, **params)
            if result is not NotImplemented:
                return result
        raise TypeError(f"no row accepts {args}")


class ByFallback:
    """The kernel for where all rows of a fused op decline that has no other."""

    def __init__(self, name, xp):
        self.name, self.xp = name, xp

    def __call__(self, *args, **params):
        with swapped(top=EAGER):
            outs = OPS[self.name].fallback(*(Tensor(a) if hasattr(a, "shape") else a for a in args), **params)
        copy = self.xp.array  # of NumPy's results that have no axes it makes arrays
        return tuple(copy(o.data) for o in outs) if type(outs) is tuple else copy(outs.data)


def build_kernels(device):
    """Op name -> kernel: the device's own rows, then those that any array module runs."""
    xp = device.xp
    table = {**_rows_over(xp, _PARTS), **device.kernels()}
    for row in device.rows():
        old = table.get(row.name) or ByFallback(row.name, xp)
        table[row.name] = [row, *(old if isinstance(old, list) else [(None, old)])]
    return _kernels(table)


def kernels_over(xp, *parts):
    """The kernels of some modules of this folder for a backend of another array module.

    Args:
        xp: An array module with NumPy's functions.
        *parts: Names of modules, such as "window" and "linalg".

    Returns:
        Dict of op name -> kernel.
    """
    return _kernels(_rows_over(xp, parts))


def _rows_over(xp, parts):
    table = {}
    for name in parts:
        table.update(importlib.import_module(f"mlkit.backends.native.{name}").make(xp))
    return table


def _kernels(table):
    return {op: Rows(*rows) if isinstance(rows, list) else rows for op, rows in table.items()}
