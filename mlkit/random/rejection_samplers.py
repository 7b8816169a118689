"""Samplers of distributions that are drawn by rejection: gamma, beta, binomial."""

from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, ShapeLike, TensorLike
from mlkit.objects.seed_generator import Seed, draw_seed
from mlkit.primitives import elementwise as el
from mlkit.primitives import random as bits
from mlkit.primitives.convert import as_shape, as_tensor, cast
from mlkit.primitives.movement import iota
from mlkit.primitives.reduction import cumsum
from mlkit.primitives.shape import broadcast_to, reshape, sum_
from mlkit.random.gamma_variates import log_gamma
from mlkit.random.rejection import PROPOSALS, first_accepted
from mlkit.random.samplers import float_dtype, without_gradient


def gamma(shape: ShapeLike, alpha: TensorLike, dtype: DType | None = None, seed: Seed | Tensor = None) -> Tensor:
    """Numbers of the gamma distribution with shape parameter `alpha` (a number or tensor) and scale 1.

    Differentiable in `alpha`: the gradient tells how each number moves when alpha grows and the number stays the same quantile.

    Args:
        alpha: shape of the distribution, a number or a tensor that broadcasts with `shape`.

    >>> import mlkit
    >>> slope = mlkit.grad(lambda alpha: mlkit.ops.mean(mlkit.random.gamma((1000,), alpha, seed=1)))(3.0)
    >>> bool(0.9 < slope < 1.1)
    True
    """
    dtype = float_dtype("gamma", dtype)
    return cast(el.exp(log_gamma(draw_seed(seed), as_shape("random.gamma", shape), alpha)), dtype)


def beta(
    shape: ShapeLike, alpha: TensorLike, beta: TensorLike, dtype: DType | None = None, seed: Seed | Tensor = None
) -> Tensor:
    """Numbers of the beta distribution: a / (a + b) for gamma-distributed a and b, from logarithms so that small ones do not
    vanish. Differentiable in `alpha` and `beta`, as `gamma` is.

    Args:
        alpha, beta: shapes of the distribution, numbers or tensors that broadcast with `shape`.
    """
    dtype = float_dtype("beta", dtype)
    key_a, key_b = bits.split(draw_seed(seed), 2)
    shape = as_shape("random.beta", shape)
    return cast(el.sigmoid(log_gamma(key_a, shape, alpha) - log_gamma(key_b, shape, beta)), dtype)


def binomial(
    shape: ShapeLike, counts: TensorLike, probabilities: TensorLike, dtype: DType | None = None, seed: Seed | Tensor = None
) -> Tensor:
    """Numbers of successes in `counts` trials that each succeed with probability `probabilities` (numbers or tensors).

    Whole numbers have no gradient: one asked for through them is an error.

    Args:
        counts: number of trials, a tensor that broadcasts with `shape`.
        probabilities: of success, likewise.
    """
    dtype = float_dtype("binomial", dtype)
    shape = as_shape("random.binomial", shape)
    arguments = as_tensor(counts), as_tensor(probabilities)
    n, p = (broadcast_to(el.stop_gradient(cast(a, "float64")), shape=shape) for a in arguments)
    rare = el.minimum(p, 1 - p)
    key_few, key_many = bits.split(draw_seed(seed), 2)
    k = el.where(n * rare < 10, _binomial_inversion(key_few, n, rare), _binomial_rejection(key_many, n, rare))
    k = el.minimum(el.maximum(k, 0.0), n)
    return without_gradient("binomial", arguments, cast(el.where(p > 0.5, n - k, k), dtype))


def _binomial_inversion(key: Tensor, n: Tensor, p: Tensor) -> Tensor:
    """For a mean below 10: how many of the cumulative probabilities of 0, 1, ... 63 a uniform number exceeds."""
    k = reshape(iota(size=64, dtype="float64"), shape=(64, *(1,) * n.ndim))
    k = el.minimum(k, n)
    mass = el.exp(_log_ways(n, k) + el.lgamma(n + 1) + k * _log(p) + (n - k) * el.log1p(-p))
    u = bits.random_uniform(key, shape=n.shape, dtype="float64")
    return sum_(cast(cumsum(mass, axis=0) <= u, "float64"), axes=(0,), keepdims=False)


def _binomial_rejection(key: Tensor, n: Tensor, p: Tensor) -> Tensor:
    """Algorithm BTRS of W. Hörmann, "The generation of binomial random variates", J. Stat. Comput. Simul. 46 (1993)."""
    spread = el.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    mode = el.floor((n + 1) * p)
    key_u, key_v = bits.split(key, 2)
    shape = (PROPOSALS, *n.shape)
    u = bits.random_uniform(key_u, shape=shape, dtype="float64") - 0.5
    v = 1 - bits.random_uniform(key_v, shape=shape, dtype="float64")
    edge = el.maximum(0.5 - abs(u), 1e-12)
    k = el.floor((2 * a / edge + b) * u + n * p + 0.5)
    inside = el.and_(k >= 0, k <= n)
    k = el.minimum(el.maximum(k, 0.0), n)
    height = el.log(v * (2.83 + 5.1 / b) * spread / (a / (edge * edge) + b))
    log_mass = _log_ways(n, k) - _log_ways(n, mode) + (k - mode) * (_log(p) - el.log1p(-p))
    return first_accepted(el.and_(inside, height <= log_mass), k)


def _log(p: Tensor) -> Tensor:
    return el.log(el.maximum(p, 1e-300))


def _log_ways(n: Tensor, k: Tensor) -> Tensor:
    """log of n choose k, less log n!."""
    return -el.lgamma(k + 1) - el.lgamma(n - k + 1)
