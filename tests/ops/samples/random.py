"""Random primitives: functions of a key."""

from tests.ops.sample import Bad, P, const, f

_KEY = const([7, 1], "uint32")

SAMPLES = [
    *[P("random_bits", _KEY, shape=(3, 5), dtype=d, _grad=False) for d in ("uint8", "uint16", "uint32", "uint64")],
    P("random_uniform", _KEY, shape=(3, 5), dtype="float32", _grad=False),
    P("random_uniform", _KEY, shape=(7,), dtype="float64", _grad=False),
    *[P("random_uniform", _KEY, shape=(7,), dtype=d, _grad=False) for d in ("float16", "bfloat16")],
    P("random_uniform", _KEY, shape=(300000,), dtype="float32", low=-0.5, high=2.0, _grad=False),  # on several threads
    *[
        # XLA may round the product and the sum at once, on processors that compute in half floats
        P("random_uniform", _KEY, shape=(7,), dtype=d, low=-1.0, high=0.5, _grad=False, _atol=atol)
        for d, atol in (("float16", 1e-3), ("bfloat16", 1e-2), ("float64", 1e-12))
    ],
    P("random_normal", _KEY, shape=(3, 5), dtype="float32", _grad=False),
    P("random_normal", _KEY, shape=(), dtype="float64", _grad=False),
    P("bernoulli", _KEY, shape=(4, 6), p=0.3, _grad=False),
    *[P("bernoulli", _KEY, shape=(4,), p=p, _grad=False) for p in (0.0, 1.0)],
    *[P("bernoulli", _KEY, shape=(3, 700), p=p, _grad=False) for p in (0.5, 0.8, 0.001, 0.999)],
    P("bernoulli", _KEY, shape=(0, 3), p=0.5, _grad=False),
    P("bernoulli", _KEY, shape=(70, 1000), p=0.7, _grad=False),
]

BAD = [
    Bad("random_bits", f(2), shape=(3,), dtype="uint32", op=True, match="key must be"),
    Bad("random_uniform", _KEY, shape=(3,), dtype="int32", op=True, match="dtype 'int32'"),
    Bad("bernoulli", _KEY, shape=(3,), p=1.5, op=True, match="probability"),
]
