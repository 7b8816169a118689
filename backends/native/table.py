"""The kernel table: for each op its rows, best first. A row may decline arguments, then the next one runs."""

import importlib

_PARTS = (
    "elementwise", "special", "kernels", "matmul", "order", "random", "fused", "norm", "attention", "recurrent",
    "fourier", "window", "epilogue", "linalg", "control",
)  # fmt: skip


class Rows:
    """Several kernels for one op. Each row is (accepts, kernel); `accepts(*args, **params)` looks at shapes and dtypes only, so
    a plan can choose once. The last row accepts everything."""

    __slots__ = ("rows",)

    def __init__(self, *rows):
        self.rows = rows

    def choose(self, args, params):
        """The first kernel that accepts the arguments (arrays or anything with shape and dtype)."""
        for accepts, kernel in self.rows:
            if accepts is None or accepts(*args, **params):
                return kernel
        raise TypeError(f"no row accepts {args}")

    def __call__(self, *args, **params):
        return self.choose(args, params)(*args, **params)


def build_kernels(xp):
    """Op name -> kernel over the array module `xp` (numpy or cupy)."""
    table = {}
    for name in _PARTS:
        part = importlib.import_module(f"mlkit.backends.native.{name}")
        for op, rows in part.make(xp).items():
            table[op] = Rows(*rows) if isinstance(rows, list) else rows
    return table
