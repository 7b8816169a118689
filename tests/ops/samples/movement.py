"""The primitives that make, move and pick elements."""

from tests.ops.sample import Bad, P, const, f, i

_POINTS = const([[0, 1], [2, 3], [0, 1]], "int32")
_DISTINCT = const([[0, 1], [2, 3], [1, 1]], "int32")

SAMPLES = [
    P("full", shape=(2, 3), value=1.5, dtype="float32", _grad=False),
    P("full", shape=(), value=True, dtype="bool", _grad=False),
    P("iota", size=4, dtype="int32", _grad=False),
    P("iota", size=0, dtype="float32", _grad=False),
    P("reshape", f(2, 6), shape=(3, 4), _known=True),
    P("transpose", f(2, 3, 4), perm=(2, 0, 1)),
    P("broadcast_to", f(3, 1), shape=(2, 3, 4), _known=True),
    P("slice", f(3, 5), starts=(1, 0), stops=(3, 5), strides=(1, 2), _known=True),
    P("slice", f(3, 5), starts=(0, 2), stops=(3, 2), strides=(1, 1), _known=True),
    P("pad", f(2, 3), value=1.5, low=(1, 0), high=(0, 2), interior=(0, 1)),
    P("pad", f(2, 3), value=0.0, low=(0, 0), high=(1, 0), interior=(2, 0)),
    P("concat", f(2, 3), f(2, 1), f(2, 2), axis=1),
    P("concat", f(2, 3), f(4, 3), axis=0),
    P("flip", f(2, 3, 4), axes=(0, 2)),
    P("after", f(2, 3), f(4)),
    P("take", f(3, 4), i(0, 4, 2, 2), axis=1),
    P("take", f(3, 4, 2), i(0, 3, 5), axis=0),
    P("take_along_axis", f(3, 4), i(0, 4, 3, 2), axis=1),
    P("take_along_axis", f(3, 4), i(0, 3, 2, 1), axis=0, _known=True),
    P("scatter_add", f(3, 4), _POINTS, f(3)),
    P("scatter_add", f(3, 4), const([[2], [0], [2]], "int32"), f(3, 4)),
    P("sum_rows", const([2, 0, 2, 2], "int32"), f(4, 3, 2), size=4),
    P("sum_rows", const([4, 0, 3, 1, 4], "int32"), f(5, 3), size=6),
    P("sum_rows", const([1, 0], "int32"), f(2), size=2),
    P("scatter_mul", f(3, 4), _POINTS, f(3), _jax="values"),  # JAX has no gradient of it
    P("scatter_max", f(3, 4), _POINTS, f(3)),
    P("scatter_min", f(3, 4), const([[2], [0], [2]], "int32"), f(3, 4)),
    P("scatter_set", f(3, 4), _DISTINCT, f(3)),
    P("searchsorted", const([1.0, 2.0, 2.0, 5.0]), f(2, 3), side="left", _grad=False),
    P("searchsorted", const([1, 2, 2, 5], "int32"), i(0, 7, 3), side="right", _grad=False),
]

BAD = [
    Bad("reshape", f(2, 3), shape=(4,), op=True, match="cannot give 6 elements"),
    Bad("transpose", f(2, 3), perm=(0, 0), op=True, match="not a permutation"),
    Bad("broadcast_to", f(2, 3), shape=(2, 4), op=True, match="cannot be broadcast"),
    Bad("pad", f(2), value=0.0, low=(-3,), high=(0,), interior=(0,), op=True, match="cannot be padded"),
    Bad("concat", f(2, 3), f(3, 2), axis=0, op=True, match="differ outside axis 0"),
    Bad("take_along_axis", f(3, 2), i(0, 3, 2), axis=0, op=True, match="must have equal rank"),
    Bad("scatter_add", f(3), const([[0], [1]], "int32"), f(3), op=True, match="need updates of shape"),
    Bad("sum_rows", const([0, 1], "int32"), f(3), size=2, op=True, match="one index for each"),
]
