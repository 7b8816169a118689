"""The primitives that reduce axes, and running sums and products."""

from tests.ops.sample import Bad, P, b, const, f, i

_ALL = ["sum", "prod", "max", "min"]
_ZEROS = const([[2.0, 0.0, 3.0, 0.0], [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]])

SAMPLES = [
    *[P(name, f(2, 3, 4), axes=(1,), keepdims=False) for name in _ALL],
    *[P(name, f(2, 3, 4), axes=(0, 2), keepdims=True) for name in _ALL],
    *[P(name, f(2, 3), axes=(0, 1), keepdims=False) for name in _ALL],
    *[P(name, i(1, 5, 2, 3), axes=(0,), keepdims=False, _grad=False) for name in _ALL],
    *[P(name, b(2, 3), axes=(1,), keepdims=False, _grad=False) for name in ["max", "min"]],
    P("prod", _ZEROS, axes=(1,), keepdims=False),
    P("prod", _ZEROS, axes=(0, 1), keepdims=False),
    P("sum", f(2, 0), axes=(1,), keepdims=False),
    *[P(name, f(2, 3, 4), axis=1, _grad=False) for name in ["argmax", "argmin"]],
    *[P(name, const([2.0, 1.0, 2.0, 1.0]), axis=0, _grad=False) for name in ["argmax", "argmin"]],
    *[P(name, f(2, 4), axis=1) for name in ["cumsum", "cumprod"]],
    *[P(name, f(3, 2), axis=0, _known=True) for name in ["cumsum", "cumprod"]],
    P("cumprod", _ZEROS, axis=1),
    P("cumsum", i(0, 5, 2, 3), axis=1, _grad=False),
]

BAD = [
    Bad("sum", f(2, 3), axes=(2,), keepdims=False, op=True, match="axis 2 is out of range"),
    Bad("max", f(2, 0), axes=(1,), keepdims=False, op=True, match="no elements"),
    Bad("argmax", f(2, 0), axis=1, op=True, match="no elements"),
]
