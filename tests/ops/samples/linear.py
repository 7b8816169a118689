"""Matrix products and sorting."""

from tests.ops.sample import Bad, P, const, f, i

SAMPLES = [
    P("matmul", f(2, 3), f(3, 4)),
    P("matmul", f(2, 5, 3), f(3, 4)),
    P("matmul", f(2, 5, 3), f(2, 3, 4)),
    P("matmul", f(5, 3), f(2, 3, 4)),
    P("matmul", f(2, 1, 4, 3), f(3, 3, 2)),
    P("matmul", i(-3, 4, 2, 3), i(-3, 4, 3, 2)),
    *[P("sort", f(4, 5), axis=a) for a in (0, 1)],
    P("sort", i(0, 4, 9), axis=0),
    *[P("argsort", f(4, 5), axis=a, _grad=False) for a in (0, 1)],
    P("argsort", i(0, 3, 9), axis=0),
    P("searchsorted", const([-1.0, 0.5, 0.5, 2.0]), f(2, 3), side="left", _grad=False),
    P("searchsorted", const([-1, 0, 0, 2], "int32"), i(-2, 4, 6), side="right"),
]

BAD = [
    Bad("matmul", f(2, 3), f(4, 5), op=True, match="must be equal"),
    Bad("matmul", f(3), f(3, 5), op=True, match="two axes"),
    Bad("matmul", f(2, 3), i(0, 2, 3, 2), op=True, error=TypeError, match="float32 and int32"),
    Bad("matmul", f(2, 4, 3), f(3, 3, 2), op=True, match="do not broadcast"),
    Bad("sort", f(2, 3), axis=2, op=True, match="out of range"),
]
