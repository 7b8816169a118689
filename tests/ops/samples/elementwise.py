"""The primitives that work element by element."""

import numpy as np

from tests.ops.sample import Bad, P, b, const, cplx, f, i, pos, unit

_SMOOTH = ["neg", "abs", "exp", "expm1", "sin", "cos", "sinh", "cosh", "tanh", "arctan", "arcsinh", "sigmoid", "erf"]
_POSITIVE = ["log", "log1p", "sqrt", "rsqrt", "lgamma"]
_INSIDE = ["tan", "arcsin", "arccos", "arctanh", "erfinv"]
_STEPS = ["sign", "floor", "ceil", "round", "isfinite", "isnan"]
_COMPARISONS = ["equal", "not_equal", "less", "less_equal"]
_ODD = const([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.5, -2.5])

SAMPLES = [
    *[P(name, f(2, 3)) for name in _SMOOTH],
    *[P(name, pos(2, 3)) for name in _POSITIVE],
    *[P(name, unit(2, 3)) for name in _INSIDE],
    P("arccosh", const([1.5, 2.0, 7.0])),
    P("digamma", pos(2, 3)),
    P("digamma", const([-2.5, -0.5, 0.25, 30.0])),
    P("lgamma", const([-2.5, -0.5, 0.25, 30.0])),
    P("erfinv", const([-0.97, -0.9, 0.0, 0.3, 0.99])),
    P("erfc", f(2, 3)),
    P("erf", const([-5.0, -0.5, 0.0, 0.9, 1.1, 3.0])),
    *[P(name, f(2, 3), _grad=False) for name in _STEPS],
    *[P(name, _ODD, _grad=False) for name in _STEPS + ["exp", "tanh", "sigmoid", "abs", "erf"]],
    *[P(name, i(-3, 4, 2, 3), _grad=False) for name in ["neg", "abs", "sign", "not", "floor"]],
    P("not", b(2, 3), _grad=False),
    *[P(name, x, _grad=False) for name in ["conj", "real"] for x in [b(2, 3), i(-3, 4, 2, 3)]],
    P("stop_gradient", f(2, 3), _grad=False),
    P("cast", f(2, 3), dtype="float64"),
    P("cast", f(2, 3), dtype="int32", _grad=False),
    P("cast", f(2, 3), dtype="bfloat16", _grad=False),
    P("cast", cplx(2, 3), dtype="float32", _grad=False),
    P("bitcast", i(0, 99, 2, 4), dtype="int16", _grad=False),
    *[P(name, cplx(2, 3), _grad=False) for name in ["conj", "real", "imag", "abs", "neg", "exp", "log"]],
    P("complex", f(2, 3), f(3), _grad=False, _dtype=("float32",)),
    *[P(name, f(2, 3), f(3)) for name in ["add", "sub", "mul", "div", "maximum", "minimum", "atan2"]],
    *[P(name, f(2, 1), f(1, 3)) for name in ["add", "mul", "maximum"]],
    *[P(name, f(2, 3), 1.5) for name in ["add", "sub", "mul", "div", "maximum", "minimum"]],
    *[P(name, 1.5, f(2, 3)) for name in ["sub", "div"]],
    *[P(name, cplx(2, 3), cplx(3), _grad=False) for name in ["add", "sub", "mul", "div"]],
    P("pow", pos(2, 3), f(3)),
    P("pow", 2.0, f(2, 3)),
    *[P("pow", f(2, 3), n) for n in (0.0, 1.0, 2.0, 3.0, -1.0)],
    P("pow", pos(2, 3), 0.5),
    P("mod", f(2, 3), 0.7),
    P("mod", f(2, 3), -0.7),
    P("floor_div", f(2, 3), 0.7, _grad=False),
    P("nextafter", f(2, 3), f(2, 3), _grad=False),
    *[P(name, i(-9, 9, 2, 3), i(1, 5, 3), _grad=False) for name in ["floor_div", "mod", "gcd", "and", "or", "xor", "maximum"]],
    *[P(name, i(-9, 9, 2, 3), i(0, 4, 3), _grad=False) for name in ["left_shift", "right_shift"]],
    *[P(name, b(2, 3), b(3), _grad=False) for name in ["and", "or", "xor", "equal"]],
    *[P(name, i(0, 3, 2, 3), i(0, 3, 3), _grad=False) for name in _COMPARISONS],
    *[P(name, f(2, 3), 0.25, _grad=False) for name in _COMPARISONS],
    P("where", b(2, 3), f(2, 3), f(3)),
    P("where", b(2, 1), f(3), 0.0),
    P("where", b(2, 3), 1.0, f(2, 3)),
]

BAD = [
    Bad("add", f(2, 3), f(4), op=True, match="do not broadcast: axis -1 has sizes 3 and 4"),
]
