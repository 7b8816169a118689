"""Public functions that reduce axes, and running sums and products."""

import numpy as np

from tests.ops.sample import Bad, S, b, const, cplx, f, i, pos

_SMOOTH = ["sum", "mean", "prod", "max", "min", "amax", "amin", "ptp", "var", "std", "median"]
_NAN = const([[1.0, np.nan, 3.0, -2.0], [np.nan, 5.0, 0.5, 4.0]])
_ALL_NAN = const([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
_SKIP_NAN = ["nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nanmedian"]
_PLACES = ["argmax", "argmin"]

SAMPLES = [
    *[S(name, f(2, 3, 4)) for name in _SMOOTH],
    *[S(name, f(2, 3, 4), axis=1) for name in _SMOOTH],
    *[S(name, f(2, 3, 4), axis=(0, -1), keepdims=True) for name in _SMOOTH],
    *[S(name, i(1, 5, 2, 3), axis=0, _grad=False) for name in _SMOOTH],
    *[S(name, i(0, 5, 2, 3, dtype="int8"), _grad=False) for name in ["max", "mean", "var", "median"]],
    S("prod", const([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0], [1.0, 2.0, 3.0]]), axis=1),
    S("prod", i(1, 4, 2, 3), axis=1, dtype="float32", _grad=False),
    S("max", f(2, 3), axis=1, initial=0.5),
    S("min", f(2, 3), initial=-0.5),
    S("max", const([[1.0, np.nan], [2.0, 3.0]]), axis=1, _grad=False),
    S("sum", cplx(2, 3), axis=1, _grad=False),
    S("mean", cplx(2, 3), axis=1, _grad=False),
    S("var", cplx(2, 3), axis=1, _grad=False),
    *[S(name, b(2, 3), axis=axis, _grad=False) for name in ["all", "any"] for axis in (None, 0)],
    *[S(name, i(0, 2, 2, 3), axis=1, keepdims=True, _grad=False) for name in ["all", "any"]],
    S("count_nonzero", i(0, 2, 3, 4), axis=1, _grad=False),
    S("count_nonzero", f(3, 4), _grad=False),
    *[S(name, f(2, 3, 4), _grad=False) for name in _PLACES],
    *[S(name, f(2, 3, 4), axis=1, _grad=False) for name in _PLACES],
    *[S(name, f(2, 3, 4), axis=-1, keepdims=True, _grad=False) for name in _PLACES],
    *[S(name, f(2, 3), keepdims=True, _grad=False) for name in _PLACES],
    *[S(name, f(2, 3)) for name in ["cumsum", "cumprod", "nancumsum", "nancumprod"]],
    *[S(name, f(2, 4), axis=1) for name in ["cumsum", "cumprod", "nancumsum", "nancumprod"]],
    S("cumprod", const([[2.0, 0.0, 3.0, 0.0, 1.5]]), axis=1),
    S("cumsum", b(2, 3), axis=0, _grad=False, _keras=False, _np=lambda x, axis: np.cumsum(x, axis, dtype="int32")),
    S("cumsum", i(0, 5, 2, 3), axis=0, dtype="float32", _grad=False),
    *[S(name, _NAN, axis=1, _grad=False) for name in ["nancumsum", "nancumprod"]],
    *[S(name, f(2, 4), axis=1) for name in _SKIP_NAN],
    *[S(name, _NAN, _grad=False) for name in _SKIP_NAN],
    *[S(name, _NAN, axis=1, keepdims=True, _grad=False) for name in _SKIP_NAN],
    *[S(name, i(1, 5, 2, 3), axis=1, _grad=False) for name in _SKIP_NAN],
    *[S(name, _ALL_NAN, axis=1, _grad=False) for name in _SKIP_NAN + ["nanargmax", "nanargmin"]],
    *[S(name, _NAN, axis=1, _grad=False) for name in ["nanargmax", "nanargmin"]],
    *[S(name, f(2, 3), _grad=False) for name in ["nanargmax", "nanargmin"]],
    *[S("quantile", f(3, 4), 0.4, axis=1, method=m) for m in ["linear", "lower", "higher", "midpoint", "nearest"]],
    S("quantile", f(3, 4), [0.1, 0.9], axis=0, keepdims=True),
    S("quantile", f(3, 4), [0.25, 0.5, 1.0]),
    S("quantile", const([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]), 0.5, axis=1, _grad=False),
    S("percentile", f(3, 4), 30.0, axis=1),
    S("nanquantile", _NAN, const([0.1, 0.5]), axis=1, _grad=False),
    S("nanquantile", f(3, 4), 0.3, axis=0),
    S("nanpercentile", _NAN, 30.0, axis=1, _grad=False),
    S("average", f(2, 3)),
    S("average", f(2, 3), axis=1, weights=pos(3)),
    S("average", f(2, 3), weights=pos(2, 3)),
    S("corrcoef", f(3, 5)),
    S("trapezoid", f(2, 4)),
    S("trapezoid", f(2, 4), dx=0.5, axis=0),
    S("trapezoid", f(2, 4), x=const([0.0, 1.0, 1.5, 4.0])),
    S("diff", f(2, 4)),
    S("diff", f(4, 2), n=2, axis=0),
    S("diff", b(2, 4), _grad=False),
    S("trace", f(3, 4)),
    S("trace", f(2, 3, 4), offset=1, axis1=1, axis2=2),
]

BAD = [
    Bad("median", f(0, 3, 4), match="no elements"),
    Bad("nanquantile", f(0, 4), 0.3, axis=0, match="no elements"),
    Bad("sum", f(2, 3), axis=2, match="axis 2 is out of range"),
    Bad("mean", f(2, 3), axis=(0, 0), match="same axis twice"),
    Bad("max", f(0, 3), axis=0, match="no elements"),
    Bad("argmax", f(0, 3), axis=0, match="no elements"),
    Bad("average", f(2, 3), weights=pos(3), match="must have the shape of x"),
    Bad("quantile", f(3), 0.5, method="odd", match="unknown method"),
    Bad("percentile", f(2, 0), 30.0, axis=1, match="no elements along axes"),
]
