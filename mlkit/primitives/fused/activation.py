"""Activations that pay as one kernel, and their gradients."""

import math
from collections.abc import Callable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Spec, require
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el

_same = el.elementwise_spec
_ELEMENTWISE = Traits(elementwise=True)


def _gradient(op: Op, fallback: Callable[..., Any], vjp: Callable[..., Any] | None = None, keep: str = "xy") -> Op:
    """The variant (g, kept tensor) -> gradient of an activation."""
    name = f"{op.name}_grad"

    def spec(g: Spec, kept: Spec, **params: Any) -> Spec:
        el.require_dtype(name, kept.dtype, dtypes.FLOATS)
        require(name, "the gradient", g, kept.shape, kept.dtype)
        return kept

    return op.variant("grad", spec, vjp, keep, fallback, traits=_ELEMENTWISE)


# The gradient at 0 is 0.
relu = Op(
    "relu",
    _same("relu"),
    lambda g, y, x: (relu_grad(g, y),),
    "y",
    fallback=lambda x: el.maximum(x, 0),
    traits=Traits(elementwise=True, broadcasts=True, idempotent=True, epilogues={"relu": {}}),
)
relu_grad = _gradient(relu, lambda g, y: el.where(y > 0, g, 0), vjp=lambda h, out, g, y: (relu_grad(h, y), None), keep="1")

# min(max(x, 0), 6), with gradient 0 at both ends
relu6 = Op(
    "relu6",
    _same("relu6"),
    lambda g, y, x: (relu6_grad(g, y),),
    "y",
    fallback=lambda x: el.minimum(el.maximum(x, 0), 6),
    traits=Traits(elementwise=True, broadcasts=True, epilogues={"relu6": {}}),
)
relu6_grad = _gradient(
    relu6,
    lambda g, y: el.where(el.and_(y > 0, y < 6), g, 0),
    vjp=lambda h, out, g, y: (relu6_grad(h, y), None),
    keep="1",
)

# log(1 + exp(x))
softplus = Op(
    "softplus",
    el.float_spec("softplus", dtypes.FLOATS),
    lambda g, y, x: (g * el.sigmoid(x),),
    "x",
    fallback=lambda x: el.maximum(x, 0.0) + el.log1p(el.exp(-el.abs_(x))),
    traits=_ELEMENTWISE,
)

# x * sigmoid(x). Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", Neural Networks 107 (2018).
silu = Op(
    "silu",
    el.float_spec("silu"),
    lambda g, y, x: (silu_grad(g, x),),
    "x",
    fallback=lambda x: x * el.sigmoid(x),
    traits=Traits(elementwise=True, epilogues={"silu": {}}),
)


def _silu_grad(g: Tensor, x: Tensor) -> Tensor:
    s = el.sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


silu_grad = _gradient(silu, _silu_grad)

_TANH_SCALE, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu(x: Tensor, approximate: bool) -> Tensor:
    if approximate:
        return 0.5 * x * (1 + el.tanh(_TANH_SCALE * (x + _CUBIC * (x * x * x))))
    return 0.5 * x * (1 + el.erf(x * math.sqrt(0.5)))


def _gelu_grad(g: Tensor, x: Tensor, approximate: bool) -> Tensor:
    if approximate:
        t = el.tanh(_TANH_SCALE * (x + _CUBIC * (x * x * x)))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_TANH_SCALE + 3 * _TANH_SCALE * _CUBIC * (x * x)))
    return g * (0.5 * (1 + el.erf(x * math.sqrt(0.5))) + x * el.exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi))


# x * (cumulative normal distribution at x), or its tanh approximation. Hendrycks and Gimpel, arXiv:1606.08415.
gelu = Op(
    "gelu",
    el.float_spec("gelu", dtypes.FLOATS),
    lambda g, y, x, approximate: (gelu_grad(g, x, approximate=approximate),),
    "x",
    fallback=_gelu,
    traits=Traits(elementwise=True, epilogues={"gelu": {"approximate": True}, "gelu_exact": {"approximate": False}}),
)
gelu_grad = _gradient(gelu, _gelu_grad)
