"""Public functions that work element by element."""

import numpy as np

from tests.ops.sample import Bad, S, b, const, cplx, f, i, pos, unit

_ANY = [
    "negative", "absolute", "abs", "fabs", "sign", "square", "reciprocal", "exp", "exp2", "expm1", "sin",
    "cos", "sinh", "cosh", "tanh", "arcsinh", "arctan", "cbrt", "i0", "sinc", "deg2rad", "rad2deg",
    "nan_to_num",
]  # fmt: skip
_POSITIVE = ["log", "log10", "log1p", "log2", "sqrt"]
_INSIDE = ["arcsin", "arccos", "arctanh", "tan"]
_STEPS = ["ceil", "floor", "round", "trunc"]
_TESTS = ["isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "logical_not", "signbit"]
_ODD = const([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5])
_FLOAT_OF_INT = [
    "negative", "absolute", "fabs", "sign", "square", "exp", "sin", "sqrt", "ceil", "floor", "round", "trunc",
    "log1p", "real", "isfinite", "isinf", "isnan", "logical_not", "conj", "signbit", "nan_to_num",
]  # fmt: skip
_BINARY = [
    "add", "subtract", "multiply", "divide", "true_divide", "divide_no_nan", "maximum", "minimum", "fmax",
    "fmin", "arctan2", "hypot", "logaddexp", "logaddexp2",
]  # fmt: skip
_STEP_BINARY = ["floor_divide", "heaviside", "nextafter", "isclose"]
_COMPARISONS = [
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
]
_BITS = ["bitwise_and", "bitwise_or", "bitwise_xor"]
_SHIFTS = ["left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift"]

SAMPLES = [
    *[S(name, f(2, 3)) for name in _ANY],
    *[S(name, pos(2, 3)) for name in _POSITIVE],
    *[S(name, unit(2, 3)) for name in _INSIDE],
    S("arccosh", const([1.5, 2.0, 7.0])),
    *[S(name, f(2, 3), _grad=False) for name in _STEPS + _TESTS],
    *[S(name, _ODD, _grad=False) for name in _TESTS + ["nan_to_num", "sign", "absolute", "sinc", "cbrt"]],
    *[S(name, i(0, 5, 2, 3), _grad=False) for name in _FLOAT_OF_INT],
    *[S(name, f(2, 3), f(3)) for name in _BINARY],
    *[S(name, f(2, 3), 1.5) for name in _BINARY],
    *[S(name, i(1, 5, 2, 3), i(1, 4, 3), _grad=False) for name in _BINARY],
    S("mod", f(2, 3), const([0.7, -1.3, 2.1])),
    S("mod", i(-5, 6, 2, 3), const([2, -3, 4], "int32"), _grad=False),
    S("fmod", f(2, 3), const([0.7, -1.3, 2.1])),
    S("fmod", i(-5, 6, 2, 3), const([2, -3, 4], "int32"), _grad=False),
    S("power", pos(2, 3), f(3)),
    S("power", f(2, 3), 3),
    S("power", 2.0, f(2, 3)),
    S("power", i(0, 4, 2, 3), 2, _grad=False),
    *[S(name, f(2, 3), f(3), _grad=False) for name in _STEP_BINARY],
    S("floor_divide", i(-5, 6, 2, 3), const([2, -3, 4], "int32"), _grad=False),
    S("isclose", const([1.0, np.nan, np.inf, 2.0]), const([1.000001, np.nan, np.inf, 2.1]), equal_nan=True, _grad=False),
    S("isclose", i(0, 3, 4), i(0, 3, 4), _grad=False),
    S("allclose", f(2, 3), f(2, 3), _grad=False),
    S("allclose", const([1.0, 2.0]), const([1.0, 2.0]), _grad=False),
    *[S(name, i(0, 3, 2, 3), i(0, 3, 3), _grad=False) for name in _COMPARISONS],
    *[S(name, f(2, 3), 0.5, _grad=False) for name in _COMPARISONS],
    *[S(name, i(0, 9, 2, 3), i(0, 9, 3), _grad=False) for name in _BITS],
    *[S(name, b(2, 3), b(3), _grad=False) for name in _BITS],
    *[S(name, i(-9, 9, 2, 3), i(0, 4, 3), _grad=False) for name in _SHIFTS],
    S("bitwise_left_shift", i(0, 9, 2, 3, dtype="uint8"), 2, _grad=False),
    S("bitwise_invert", i(-9, 9, 2, 3), _grad=False),
    S("bitwise_not", b(2, 3), _grad=False),
    S("gcd", i(-30, 30, 2, 3), i(-30, 30, 3), _grad=False),
    S("lcm", i(-9, 9, 2, 3), i(-9, 9, 3), _grad=False),
    S("ldexp", f(2, 3), i(-3, 4, 3)),
    S("clip", f(2, 3), -0.5, 0.75),
    S("clip", i(0, 9, 2, 3), 2, 5, _grad=False),
    S("clip", b(2, 3), 0, 1, _grad=False),
    S("round", f(2, 3), decimals=1, _grad=False),
    S("round", i(0, 999, 2, 3), decimals=-2, _grad=False),
    S("nan_to_num", _ODD, nan=1.0, posinf=2.0, neginf=-3.0, _grad=False),
    S("divide_no_nan", f(3), const([0.0, 1.0, -2.0]), _grad=False),
    S("heaviside", const([-1.0, 0.0, 2.0, np.nan]), 0.5, _grad=False),
    S("logaddexp", const([1000.0, -np.inf, np.inf]), const([1001.0, -np.inf, np.inf]), _grad=False),
    S("hypot", const([0.0, 3e30, np.inf]), const([0.0, 4e30, 1.0]), _grad=False),
    S("fmax", const([np.nan, 1.0, np.nan]), const([2.0, np.nan, np.nan]), _grad=False),
    S("fmin", const([np.nan, 1.0, np.nan]), const([2.0, np.nan, np.nan]), _grad=False),
    S("i0", const([0.0, 7.9, 8.1, 20.0])),
    S("view", f(2, 4), "int32", _grad=False, _dtype=("float32",), _known=True),
    S("view", i(0, 99, 2, 4), "uint8", _grad=False, _known=True),
    S("view", i(0, 99, 2, 4, dtype="uint8"), "int32", _grad=False, _known=True),
    *[
        S(name, cplx(2, 3), _grad=False)
        for name in ["real", "imag", "conj", "conjugate", "angle", "isreal", "absolute", "square", "exp"]
    ],
    *[S(name, f(2, 3), _grad=False) for name in ["imag", "angle", "conjugate"]],
    *[S(name, cplx(2, 3), cplx(3), _grad=False) for name in ["add", "subtract", "multiply", "divide"]],
]

BAD = [
    Bad("add", f(2, 3), f(4), match="do not broadcast"),
    Bad("gcd", f(2), f(2), error=TypeError, match="expected integers", eager_only=True),
    Bad("ldexp", f(2), f(2), error=TypeError, match="expected integers", eager_only=True),
]
