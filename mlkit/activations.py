"""Activation functions: functions of one tensor, by name in layers and configs. Each is an op or a line of ops."""

import inspect
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, FloatOrSequence, TensorLike
from mlkit.objects.lookup import Lookup


def relu(
    x: TensorLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: FloatOrSequence = 0.0
) -> Tensor:
    """``max(x, 0)``, with options for the leaky, the capped and the thresholded form.

    Args:
        x: tensor.
        negative_slope: slope below `threshold`.
        max_value: the largest value of the result, or None.
        threshold: values at or below it give 0 (or what the slope gives: ``negative_slope * (x - threshold)``).

    >>> relu(ops.convert_to_tensor([-2.0, 1.0, 9.0]), negative_slope=0.5, max_value=6).numpy()
    array([-1.,  1.,  6.], dtype=float32)
    """
    x = ops.convert_to_tensor(x)
    if threshold == 0:
        if max_value is None:
            return ops.leaky_relu(x, negative_slope=negative_slope) if negative_slope else ops.relu(x)
        y = ops.relu6(x) if max_value == 6 else ops.minimum(ops.relu(x), max_value)
    else:
        y = ops.where(x > threshold, x, 0)
        y = y if max_value is None else ops.clip(y, 0, max_value)
    return y - negative_slope * ops.relu(threshold - x) if negative_slope else y


def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """x where it is positive, ``negative_slope * x`` elsewhere.

    Args:
        negative_slope: slope below 0.
    """
    return ops.leaky_relu(x, negative_slope=negative_slope)


def relu6(x: TensorLike) -> Tensor:
    """x limited to ``[0, 6]``."""
    return ops.relu6(x)


def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """``exp(x) / sum(exp(x))`` along `axis`, an int or a tuple: positive values that sum to 1.

    >>> softmax(ops.convert_to_tensor([0.0, 0.0])).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return ops.softmax(x, axis=axis)


def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The logarithm of `softmax`, computed without overflow."""
    return ops.log_softmax(x, axis=axis)


def elu(x: TensorLike, alpha: FloatOrSequence = 1.0) -> Tensor:
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere. Clevert et al. 2016, https://arxiv.org/abs/1511.07289.

    Args:
        alpha: minus the limit for very negative x.
    """
    return ops.elu(x, alpha=alpha)


def selu(x: TensorLike) -> Tensor:
    """Scaled ELU, which drives activations to mean 0 and variance 1. Klambauer et al. 2017, https://arxiv.org/abs/1706.02515."""
    return ops.selu(x)


def celu(x: TensorLike, alpha: FloatOrSequence = 1.0) -> Tensor:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``. Barron 2017, https://arxiv.org/abs/1704.07483.

    Args:
        alpha: minus the limit for very negative x.
    """
    return ops.celu(x, alpha=alpha)


def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """``x * P(X <= x)`` for a standard normal X; `approximate` uses tanh. https://arxiv.org/abs/1606.08415.

    Args:
        approximate: by tanh, else by the error function.
    """
    return ops.gelu(x, approximate=approximate)


def glu(x: TensorLike, axis: Axis = -1) -> Tensor:
    """Gated linear unit: the first half along `axis` times the sigmoid of the second. https://arxiv.org/abs/1612.08083."""
    return ops.glu(x, axis=axis)


def silu(x: TensorLike) -> Tensor:
    """``x * sigmoid(x)``, also called swish. https://arxiv.org/abs/1710.05941."""
    return ops.silu(x)


def mish(x: TensorLike) -> Tensor:
    """``x * tanh(softplus(x))``. Misra 2019, https://arxiv.org/abs/1908.08681."""
    x = ops.convert_to_tensor(x)
    return x * ops.tanh(ops.softplus(x))


def softplus(x: TensorLike) -> Tensor:
    """``log(1 + exp(x))``."""
    return ops.softplus(x)


def softsign(x: TensorLike) -> Tensor:
    """``x / (1 + |x|)``."""
    return ops.softsign(x)


def squareplus(x: TensorLike, b: float = 4) -> Tensor:
    """``(x + sqrt(x ** 2 + b)) / 2``. Barron 2021, https://arxiv.org/abs/2112.11687.

    Args:
        b: smoothness at 0.
    """
    return ops.squareplus(x, b=b)


def soft_shrink(x: TensorLike, threshold: FloatOrSequence = 0.5) -> Tensor:
    """x moved towards 0 by `threshold`, 0 where that would cross it.

    Args:
        threshold: by how much values move towards 0.
    """
    return ops.soft_shrink(x, threshold=threshold)


def hard_shrink(x: TensorLike, threshold: FloatOrSequence = 0.5) -> Tensor:
    """x where ``|x| > threshold``, 0 elsewhere.

    Args:
        threshold: what is not further from 0 becomes 0.
    """
    return ops.hard_shrink(x, threshold=threshold)


def tanh_shrink(x: TensorLike) -> Tensor:
    """``x - tanh(x)``."""
    return ops.tanh_shrink(x)


def threshold(x: TensorLike, threshold: float, default_value: float) -> Tensor:
    """x where it exceeds `threshold`, `default_value` elsewhere.

    Args:
        threshold: the bound.
        default_value: what stands for values that are not above it.
    """
    return ops.threshold(x, threshold, default_value)


def tanh(x: TensorLike) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(x)


def hard_tanh(x: TensorLike) -> Tensor:
    """x limited to ``[-1, 1]``."""
    return ops.hard_tanh(x)


def sigmoid(x: TensorLike) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return ops.sigmoid(x)


def log_sigmoid(x: TensorLike) -> Tensor:
    """The logarithm of `sigmoid`, computed without overflow."""
    return ops.log_sigmoid(x)


def hard_sigmoid(x: TensorLike) -> Tensor:
    """``x / 6 + 0.5`` limited to ``[0, 1]``."""
    return ops.hard_sigmoid(x)


def hard_silu(x: TensorLike) -> Tensor:
    """``x * hard_sigmoid(x)``, also called hard swish. Howard et al. 2019, https://arxiv.org/abs/1905.02244."""
    return ops.hard_silu(x)


def sparse_sigmoid(x: TensorLike) -> Tensor:
    """``(x + 1) / 2`` limited to ``[0, 1]``."""
    return ops.sparse_sigmoid(x)


def sparse_plus(x: TensorLike) -> Tensor:
    """0 up to -1, ``(x + 1) ** 2 / 4`` up to 1, x from there on."""
    return ops.sparse_plus(x)


def sparsemax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The nearest probabilities to x along `axis`, many of them 0. Martins et al. 2016, https://arxiv.org/abs/1602.02068."""
    return ops.sparsemax(x, axis=axis)


def exponential(x: TensorLike) -> Tensor:
    """``exp(x)``."""
    return ops.exp(x)


def linear(x: TensorLike) -> Tensor:
    """x itself."""
    return x


swish, hard_swish = silu, hard_silu

_FUNCTIONS = [f.__name__ for n, f in list(globals().items()) if inspect.isfunction(f) and not n.startswith("_")]
_lookup = Lookup("activation function", __name__, _FUNCTIONS, {"swish": "silu", "hard_swish": "hard_silu"})

__all__ = sorted(_lookup.names) + ["deserialize", "get", "serialize"]


def get(identifier: Any) -> Any:
    """An activation function from a name ("relu"), a config, or any callable; None gives `linear`.

    >>> get("relu") is relu, get(None) is linear
    (True, True)
    """
    return linear if identifier is None else _lookup.get(identifier)


def serialize(activation: Any) -> Any:
    """The activation as plain data: its name where it is one of these functions, else a dict.

    >>> serialize(swish)
    'silu'
    """
    if _lookup.builtin(getattr(activation, "__name__", None)) is activation:
        return activation.__name__
    return _lookup.serialize(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The activation that `serialize` wrote. custom_objects: name -> object, for those that are not built in."""
    return _lookup.deserialize(config, custom_objects)
