"""The public functions of mlkit.ops that are about tensors as such."""

from math import inf

from tests.ops.sample import Bad, S, b, const, f, i

_POINTS = const([[0, 1], [2, 3], [0, 1]], "int32")
_DISTINCT = const([[0, 1], [2, 3], [1, 1]], "int32")

SAMPLES = [
    S("convert_to_tensor", f(2, 3)),
    S("convert_to_tensor", [1, 2], dtype="float32", _grad=False),
    S("cast", f(2, 3), "float16", _grad=False),
    S("cast", f(2, 3), "int32", _grad=False),
    S("cast", f(2, 3), "bool", _grad=False),
    S("cast", b(2, 3), "float32", _grad=False),
    S("cast", f(3), "complex64", _grad=False),
    S("saturate_cast", const([-300.0, 2.5, 300.0]), "uint8", _grad=False),
    S("saturate_cast", const([-3e9, 2.5, 3e9]), "int32", _grad=False),
    S("saturate_cast", const([-inf, 2.5, inf]), "int32", _grad=False),
    S("saturate_cast", const([-inf, 2.5, inf], "float16"), "int64", _grad=False, _keras=False),  # stops at 65504 there
    S("saturate_cast", i(-300, 300, 5), "int8", _grad=False),
    S("saturate_cast", i(-300, 300, 5), "float32", _grad=False, _keras=False, _np=lambda x, dtype: x.astype(dtype)),
    S("stop_gradient", f(2, 3), _grad=False),
    S("scatter", _POINTS, f(3), (3, 4)),
    S("scatter", const([[2], [0], [2]], "int32"), f(3, 2), (4, 2)),
    S("scatter_update", f(3, 4), _DISTINCT, f(3)),
    S("scatter_update", f(3, 4), const([[2], [-3]], "int32"), f(2, 4)),
    *[S("scatter_update", f(3, 4), _POINTS, f(3), reduction=r) for r in ["add", "max", "min"]],
    S("scatter_update", f(3, 4), _POINTS, f(3), reduction="mul", _jax="values"),  # JAX has no gradient of it
    S("slice", f(3, 4), (1, 0), (2, 3)),
    S("slice", f(3, 4), const([1, 2], "int32"), (2, 2), _known=True),
    S("slice_update", f(3, 4), (1, 2), f(2, 2)),
    S("slice_update", f(3, 4), const([1, 0], "int32"), f(1, 4), _known=True),
    S("slice_update", f(3, 4), (1, 2), f(2, 0)),
    S("unstack", f(2, 3), axis=1),
    S("unstack", f(2, 3), num=2, _known=True),
]

BAD = [
    Bad("scatter", f(2, 1), f(2), (3,), error=TypeError, match="expected integers", eager_only=True),
    Bad("scatter", const([[5]], "int32"), f(1), (3,), error=IndexError, match="out of range", eager_only=True),
    Bad("scatter", const([[1]], "int32"), f(2), (3,), match="do not fit"),
    Bad("scatter_update", f(3), const([[1]], "int32"), f(1), reduction="odd", match="unknown `reduction`"),
    Bad("slice", f(3), (0,), (4,), match="exceeds axis"),
    Bad("slice", f(1, 2), starts=(0, 2), stops=(3, 2), strides=(1, 1), op=True, match="from 0 to 3 does not lie within axis 0"),
    Bad("slice_update", f(3), (0,), f(2, 2), match="as many axes"),
    Bad("unstack", f(3), num=2, match="has size 3"),
]
