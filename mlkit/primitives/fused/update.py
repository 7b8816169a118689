"""Rules by which optimizers change a weight, each as one op, so that a backend can work in place in a few passes over memory.

All are called as (weight, slots ..., gradient, rate) and return the new weight and slots. These are tensors of one shape; the rate is
a scalar. Every rule works element by element, so backends may make a chain of it.
"""

from collections.abc import Callable
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Spec, compatible
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import cast, pair


def _update(name: str, rule: Callable[..., Any]) -> Op:
    """The op of a rule. It computes in the widest dtype; what it returns has the dtypes of what it replaces."""

    def spec(*specs: Spec, **params: Any) -> tuple[Spec, ...]:
        *kept, gradient, rate = specs
        if not all(compatible(s.shape, gradient.shape) for s in kept) or getattr(rate, "shape", None) != ():
            raise ShapesDiffer(
                f"{name}: the weight, its slots and the gradient must have one shape and the rate be a scalar, but they are {specs}."
            )
        for s in (*kept, gradient):
            el.require_dtype(name, s.dtype, el.FLOATING)
        return tuple(Spec(s.shape, s.dtype) for s in kept)

    def fallback(*args: Tensor, **params: Any) -> tuple[Tensor, ...]:
        return tuple(cast(new, old.dtype) for new, old in zip(rule(*args, **params), args))

    return Op(name, spec, fallback=fallback, traits=Traits(elementwise=True))


def _sgd(w: Tensor, *rest: Tensor, momentum: float, nesterov: bool) -> tuple[Tensor, ...]:
    *velocity, g, rate = rest
    step = g * rate
    if not velocity:
        return (w - step,)
    v = velocity[0] * momentum - step
    return w + (v * momentum - step if nesterov else v), v


def _adam(w: Tensor, m: Tensor, v: Tensor, *rest: Tensor, beta_1: float, beta_2: float, epsilon: float) -> tuple[Tensor, ...]:
    *largest, g, rate = rest
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    largest = [el.maximum(*pair(x, v)) for x in largest]
    root = el.sqrt(largest[0] if largest else v)
    return w - m * rate / (root + epsilon), m, v, *largest


def _rmsprop(
    w: Tensor, v: Tensor, *rest: Tensor, rho: float, epsilon: float, momentum: float, centered: bool
) -> tuple[Tensor, ...]:
    *slots, g, rate = rest
    v = v * rho + g * g * (1 - rho)
    kept = iter(slots)
    velocity = [next(kept)] if momentum > 0 else []
    mean = [next(kept) * rho + g * (1 - rho)] if centered else []
    step = g * rate / el.sqrt((v - mean[0] * mean[0] if centered else v) + epsilon)
    velocity = [x * momentum + step for x in velocity]
    return w - (velocity[0] if velocity else step), v, *velocity, *mean


# (w, [velocity], g, rate; momentum, nesterov)
sgd_update = _update("sgd_update", _sgd)
# (w, m, v, [largest v], g, rate; beta_1, beta_2, epsilon); the rate is corrected for the moments' start at 0
adam_update = _update("adam_update", _adam)
# (w, v, [velocity], [mean gradient], g, rate; rho, epsilon, momentum, centered)
rmsprop_update = _update("rmsprop_update", _rmsprop)
