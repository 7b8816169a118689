"""Control flow. Eager, the bodies run in Python; staged and on JAX, as ops that run graphs."""

import numpy as np

from tests.ops.sample import Bad, F, S, const, f, i


def _gated(x):
    from mlkit import ops

    return ops.cond(ops.sum(x) > 0, lambda: ops.sin(x), lambda: x * x)


def _nested(x):
    """A scan inside a branch, which uses a tensor from outside."""
    from mlkit import ops

    return ops.cond(ops.max(x) > 0, lambda: ops.scan(lambda c, r: (c * r + x[0], c), x[0], x)[0], lambda: x[0])


def _newton(x):
    from mlkit import ops

    far = lambda y: ops.max(ops.abs(y * y - x)) > 1e-3  # for ever, in half floats
    return ops.while_loop(far, lambda y: (y + x / y) / 2, x, maximum_iterations=20)


SAMPLES = [
    S("cond", const(True, "bool"), lambda: np.float32(1.0), lambda: np.float32(2.0)),
    F("cond of a tensor", _gated, f(2, 3)),
    F("cond of a tensor", _gated, const([[-1.0, 0.5]])),
    F("cond around scan", _nested, f(3, 2), _known=True),
    S("switch", i(0, 3), [lambda x: x * 2, lambda x: x + 1, lambda x: -x], f(2, 3)),
    S("switch", const(7, "int32"), [lambda x: x * 2, lambda x: x * x], f(2, 3)),
    S("while_loop", lambda k, x: k < 4, lambda k, x: (k + 1, x * 1.5), (const(0, "int32"), f(3)), _grad=False),
    S("while_loop", lambda x: x[0] < 100.0, lambda x: [x * 2.0], [const([1.0, 3.0])], maximum_iterations=3, _grad=False),
    F("while of a tolerance", _newton, const([2.0, 3.0]), _grad=False),
    S("fori_loop", 0, 3, lambda k, x: x * x + 0.5, f(3)),
    S("fori_loop", const(1, "int32"), const(4, "int32"), lambda k, x: x + x, f(3), _grad=False, _known=True),
    S("scan", lambda c, x: (c * x + 0.5, c * c), f(2), f(3, 2), _known=True),
    S("scan", lambda c, x: (c + x["a"], c * x["b"]), f(2), {"a": f(3, 2), "b": f(3, 2)}, reverse=True, _known=True),
    S("scan", lambda c, x: (c * 0.5, c), f(2), None, length=4, _known=True),
    S("map", lambda x: x * x + 1.0, f(4, 2)),
    S("vectorized_map", lambda x: x * x + 1.0, f(4, 2)),
    S("associative_scan", lambda a, b: a * b, f(5, 2)),
    S("associative_scan", lambda a, b: a + b, f(2, 6), axis=1, reverse=True),
    F("custom_gradient", lambda x: _tripled(x), f(3)),
    # what only looks at a tensor
    S("shape", f(2, 3), _grad=False),
    S("dtype", f(2, 3), _grad=False, _keras=False),
    S("is_tensor", f(2, 3), _grad=False, _keras=False),
    S("convert_to_numpy", f(2, 3), _eager_only=True),
    F("vectorize", lambda x: _doubled(x), f(4), _known=True),
]


def _tripled(x):
    """A custom gradient that is the true one."""
    from mlkit import ops

    @ops.custom_gradient
    def triple(x):
        return x * 3.0, lambda g: g * 3.0

    return triple(x)


def _doubled(x):
    from mlkit import ops

    return ops.vectorize(lambda e: e * 2.0)(x)


BAD = [
    Bad("scan", lambda c, x: (c, x), f(2), None, match="length"),
    Bad("scan", lambda c, x: c, f(2), f(3, 2), match="pair"),
    Bad("switch", const(0, "int32"), [], f(2), match="at least one"),
]
