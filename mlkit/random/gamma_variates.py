"""Gamma variates, and how they move with their parameter.

A sampler that rejects proposals has no derivative of its own: the accepted proposal jumps. But its sample x keeps its quantile
F(x; alpha) while alpha changes, which defines dx/dalpha = -(dF/dalpha) / (dF/dx): M. Figurnov, S. Mohamed and A. Mnih, "Implicit
reparameterization gradients", NeurIPS 2018.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.autograd import as_function_of
from mlkit.core.spec import Size
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives import random as bits
from mlkit.primitives.convert import as_tensor, cast
from mlkit.primitives.shape import broadcast_to
from mlkit.random.rejection import PROPOSALS, first_accepted


def log_gamma(key: Tensor, shape: Sequence[Size], alpha: Any) -> Tensor:
    """Logarithm of gamma variates, float32, differentiable in alpha."""
    alpha = broadcast_to(cast(as_tensor(alpha), "float32"), shape=shape)
    return as_function_of((alpha,), _draw(key, shape, el.stop_gradient(alpha)), _vjp)


def _vjp(g: Tensor, log_x: Tensor, alpha: Any) -> tuple[Tensor | None, ...]:
    return (g * cast(_slope(cast(log_x, "float64"), cast(alpha, "float64")), g.dtype),)


def _draw(key: Tensor, shape: Sequence[Size], alpha: Any) -> Tensor:
    """G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000)."""
    small = alpha < 1
    d = el.where(small, alpha + 1, alpha) - 1 / 3
    key_x, key_u, key_boost = bits.split(key, 3)
    x = bits.random_normal(key_x, shape=(PROPOSALS, *shape), dtype="float32")
    v = 1 + x * el.rsqrt(9 * d)
    possible = v > 0
    log_v = 3 * el.log(el.where(possible, v, 1.0))
    bound = x * x / 2 + d * (1 + log_v - el.exp(log_v))
    log_v = first_accepted(el.and_(possible, _log_uniform(key_u, x.shape) < bound), log_v)
    boost = _log_uniform(key_boost, shape) / alpha  # alpha < 1 by way of alpha + 1
    return el.log(d) + log_v + el.where(small, boost, 0.0)


def _log_uniform(key: Tensor, shape: Sequence[Size]) -> Tensor:
    """Logarithm of a uniform number in (0, 1]."""
    return el.log1p(-bits.random_uniform(key, shape=shape, dtype="float32"))


# ---- d log(x) / d alpha at a fixed quantile ----------------------------------------------------------------------------
#
# With the density f, dF/dalpha is the integral of (log(t) - digamma(alpha)) f(t) from 0 to x, or minus that from x on. Put
# t = x exp(-s) or x exp(s) and divide by x f(x), and the gamma function cancels:
#
#     d log(x) / d alpha  =  integral over s > 0 of (s - c) exp(-alpha s + x (1 - exp(-s))),   c = log(x) - digamma(alpha)
#                         =  integral over s > 0 of (s + c) exp( alpha s - x (exp(s) - 1))
#
# of which the first decays from s = 0 on where x < alpha, and the second where x > alpha.

_TERMS = 18  # of the power series for x <= 1
_DECAY = 16.0  # the integrals end where their integrand has fallen to exp(-_DECAY)
_NODES = 16  # of the integrals, which they give to 1e-6 of their value


def _slope(log_x: Tensor, alpha: Any) -> Tensor:
    c = log_x - el.digamma(alpha)
    return el.where(log_x <= 0, _series(el.exp(el.minimum(log_x, 0.0)), alpha, c), _integral(log_x, alpha, c))


def _series(x: Tensor, alpha: Any, c: Any) -> Tensor:
    """The first integral, of which exp(-x exp(-s)) is taken as a power series: for x up to 1."""
    total, term = 0.0, 1.0
    for n in range(_TERMS):
        rate = 1 / (alpha + n)
        total = total + term * rate * (rate - c)
        term = term * x * (-1 / (n + 1))
    return el.exp(x) * total


def _integral(log_x: Tensor, alpha: Any, c: Any) -> Tensor:
    """The integral that decays, by the quadrature of Gauss and Legendre: for x from 1 on."""
    x = el.exp(el.maximum(log_x, 0.0))
    excess = x - alpha
    sign, fall = el.where(excess > 0, 1.0, -1.0), el.abs_(excess)
    # Both exponents are -(fall s + x (exp(+-s) - 1 -+ s)), at most -(fall s + x s^2 / 2) and -(fall s + x s^2 / (2 + s)).
    left = 2 * fall - _DECAY
    width = el.where(
        excess > 0,
        2 * _DECAY / (fall + el.sqrt(fall * fall + 2 * _DECAY * x)),
        4 * _DECAY / (left + el.sqrt(left * left + 8 * _DECAY * el.maximum(alpha, 1.0))),
    )
    total = 0.0
    for node, weight in _nodes():
        s = width * node
        total = total + weight * (s + sign * c) * el.exp(-(fall * s + x * (el.expm1(sign * s) - sign * s)))
    return width * total


@functools.cache
def _nodes():
    """(node, weight) pairs on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return [(float(n), float(w)) for n, w in zip((nodes + 1) / 2, weights / 2)]
