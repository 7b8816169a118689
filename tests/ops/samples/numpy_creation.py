"""Public functions that make tensors from shapes, numbers and functions."""

import numpy as np

from tests.ops.sample import Bad, S, f, pos

SAMPLES = [
    *[S(name, (2, 3), _grad=False) for name in ["zeros", "ones"]],
    *[S(name, (2,), dtype="int16", _grad=False) for name in ["zeros", "ones"]],
    S("empty", (2, 3), _grad=False, _keras=False, _np=lambda shape: np.zeros(shape, "float32")),
    *[S(name, f(2, 3), _grad=False) for name in ["zeros_like", "ones_like"]],
    *[S(name, f(2, 3), dtype="int32", _grad=False) for name in ["zeros_like", "ones_like"]],
    S("empty_like", f(2, 3), _grad=False, _keras=False, _np=np.zeros_like),
    S("full", (2, 3), 1.5, _grad=False),
    S("full", (2, 3), f(3), _grad=False),
    S("full_like", f(2, 3), 2, _grad=False),
    S("array", f(2, 3)),
    S("array", [1, 2], dtype="float16", _grad=False),
    S("arange", 5, _grad=False),
    S("arange", 1, 8, 3, _grad=False),
    S("arange", 5, 0, -2, _grad=False),
    S("arange", 0.0, 1.0, 0.25, _grad=False),
    S("arange", 4, dtype="float32", _grad=False),
    S("linspace", 0, 2, 5, _grad=False),
    S("linspace", f(3), f(3), 4, axis=-1),
    S("linspace", f(2, 1), f(3), 4, endpoint=False),
    S("linspace", 0.0, 1.0, 5, retstep=True, _grad=False),
    S("linspace", 0, 10, 4, dtype="int32", _grad=False),
    S("linspace", 1.0, 2.0, 1, _grad=False),
    S("logspace", 0.0, 2.0, 5, _grad=False),
    S("logspace", f(2), f(2), 3, base=2.0),
    S("geomspace", 1.0, 8.0, 4, _grad=False),
    S("geomspace", pos(2), pos(2), 3),
    S("eye", 3, _grad=False),
    S("eye", 2, 4, k=1, dtype="int32", _grad=False),
    S("identity", 3, _grad=False),
    S("tri", 3, _grad=False),
    S("tri", 3, 4, k=-1, dtype="bool", _grad=False),
    *[S(name, 6, _grad=False) for name in ["bartlett", "blackman", "hamming", "hanning"]],
    S("kaiser", 6, 4.0, _grad=False),
]

BAD = [
    Bad("linspace", 0, 1, -1, match="must not be negative"),
    Bad("zeros", (2, -3), match="negative"),
]
