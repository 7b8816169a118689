"""Random primitives. Numbers are a function of a key: equal keys give equal numbers, on any backend and number of threads.

A key is a uint32 tensor of two elements; `mlkit.random.SeedGenerator` hands out fresh ones.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, compatible, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.bernoulli import thresholds
from mlkit.primitives.counts import free
from mlkit.primitives.movement import concat, element, slice_along
from mlkit.primitives.shape import reshape

_SIGNIFICANT = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}  # bits of a float's significand


def _check_key(name: str, key: Spec) -> None:
    if key.dtype != "uint32" or not compatible(key.shape, (2,)):
        raise ValueError(
            f"{name}: a key must be a uint32 tensor of shape (2,), but got {key.dtype} of shape {show(key.shape)}. "
            "Keys come from SeedGenerator.next()."
        )


def _spec(name: str, allowed: Collection[str]) -> Callable[..., Any]:
    def spec(key: Spec, shape: Sequence[Size], dtype: str, **limits: float) -> Spec:
        _check_key(name, key)
        if dtype not in allowed:
            raise ValueError(f"{name}: dtype {dtype!r} is not possible. Expected one of {', '.join(allowed)}.")
        return Spec(shape, dtype)

    return spec


# Independent uniform bits: the counter-based generator Philox4x64-10 of Salmon, Moraes, Dror and Shaw, "Parallel random
# numbers: as easy as 1, 2, 3", SC 2011, with the key's 64 bits as the first word of its key, the counter running from 1.
random_bits = Op("random_bits", _spec("random_bits", dtypes.UINTS), traits=Traits(flops=free))


def _uniform(key: Tensor, shape: Sequence[Size], dtype: str, low: float = 0.0, high: float = 1.0) -> Tensor:
    """The upper bits of an integer, as many as the float holds exactly, times a power of two: never rounded up to 1."""
    n = _SIGNIFICANT[dtype]
    word = 64 if n > 32 else 32
    bits = el.right_shift(random_bits(key, shape=shape, dtype=f"uint{word}"), word - n)
    x = el.mul(el.cast(bits, dtype=dtype), 2.0**-n)
    return x if (low, high) == (0.0, 1.0) else el.add(el.mul(x, high - low), low)


random_uniform = Op("random_uniform", _spec("random_uniform", dtypes.FLOATS), fallback=_uniform)  # in [low, high), numbers


def _normal(key: Tensor, shape: Sequence[Size], dtype: str) -> Tensor:
    """Box and Muller, "A note on the generation of random normal deviates", Ann. Math. Stat. 29 (1958)."""
    if dtype in ("float16", "bfloat16"):
        return el.cast(_normal(key, shape, "float32"), dtype=dtype)
    n = size_of(shape)
    pairs = (n + 1) // 2
    u = random_uniform(key, shape=(2 * pairs,), dtype=dtype)
    radius = el.sqrt(el.mul(el.log1p(el.neg(slice_along(u, 0, 0, pairs))), -2.0))
    angle = el.mul(slice_along(u, 0, pairs, 2 * pairs), 2 * math.pi)
    z = concat(el.mul(radius, el.cos(angle)), el.mul(radius, el.sin(angle)), axis=0)
    return reshape(slice_along(z, 0, 0, n), shape=shape)


random_normal = Op("random_normal", _spec("random_normal", dtypes.FLOATS), fallback=_normal)  # mean 0, variance 1


def _bernoulli_spec(key: Spec, shape: Sequence[Size], p: float) -> Spec:
    _check_key("bernoulli", key)
    if not 0 <= p <= 1:
        raise ValueError(f"bernoulli: the probability must be in [0, 1], but is {p}.")
    return Spec(shape, "bool")


def _bernoulli(key: Tensor, shape: Sequence[Size], p: float) -> Tensor:
    rows, width, whole, part = thresholds(shape, p)
    numbers = el.cast(random_bits(key, shape=(rows, width + 2), dtype="uint8"), dtype="int32")
    low, high = (slice_along(numbers, 1, width + i, width + i + 1) for i in range(2))
    up = el.cast(el.less(el.add(low, el.mul(high, 256)), part), dtype="int32")
    keep = el.less(slice_along(numbers, 1, 0, width), el.add(up, whole))
    return reshape(slice_along(reshape(keep, shape=(rows * width,)), 0, 0, size_of(shape)), shape=shape)


bernoulli = Op("bernoulli", _bernoulli_spec, fallback=_bernoulli)  # true with probability p, a Python number


def split(key: Tensor, n: int) -> list[Tensor]:
    """n keys (each uint32[2]) made from one, for samplers that need several independent sets of numbers."""
    rows = random_bits(key, shape=(n, 2), dtype="uint32")
    return [element(rows, i) for i in range(n)]
