"""Products with an activation whose gradient takes part in the same call: behind the gradient of a product's input, or beside what the
gradient will ask for.

Nobody writes these: `fuse_gradients` puts them in place of the ops they are made of, where a backend has kernels for them.
"""

from collections.abc import Callable
from typing import Any

from mlkit.core.graph import Call
from mlkit.core.op import OPS, Op
from mlkit.core.spec import Spec, require
from mlkit.core.tensor import Tensor
from mlkit.primitives.fused.epilogue import activation, matmul_bias_act
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.window import conv_input


def gradient_of(act: str) -> tuple[Op, dict[str, Any]]:
    """(op of the gradient, its parameters) of an activation by the name that fused products know it by."""
    found = activation(act)
    if found is None or "grad" not in found[0].variants:
        known = sorted(name for op in OPS.values() if "grad" in op.variants for name in op.traits.epilogues)
        raise ValueError(f"unknown activation {act!r}, or one without a gradient op. Expected one of {known}.")
    return found[0].variants["grad"], found[1]


def act_of_gradient(call: Call) -> str | None:
    """The name of the activation whose gradient a call is; None where it is none."""
    op = call.op.base
    if op is None or op.variants.get("grad") is not call.op:
        return None
    return next((name for name, params in op.traits.epilogues.items() if params == call.params), None)


def _with_gradient(inner: Op, product: Callable[..., Tensor], product_spec: Callable[..., Spec]) -> Op:
    """The variant g, w, kept -> gradient of the activation (product(g, w), kept) of an op. kept: what the gradient of the activation
    asks for, its result or its argument."""
    name = f"{inner.name}_act_grad"

    def spec(g: Spec, w: Spec, kept: Spec, *, act: str, **params: Any) -> Spec:
        op, options = gradient_of(act)
        out = product_spec(g, w, **params)
        require(name, "what is kept of the activation", kept, out.shape, out.dtype)
        return op.spec(out, kept, **options)

    def fallback(g: Tensor, w: Tensor, kept: Tensor, *, act: str, **params: Any) -> Tensor:
        op, options = gradient_of(act)
        return op(product(g, w, **params), kept, **options)

    return inner.variant("act_grad", spec, fallback=fallback)


def _turned(w: Spec) -> Spec:
    if len(w.shape) < 2:
        raise ValueError(f"matmul_act_grad: the kernel needs two axes or more, but has shape {w.shape}.")
    return Spec((*w.shape[:-2], w.shape[-1], w.shape[-2]), w.dtype)


# of x @ w with respect to x, where x is the result of an activation: w as it lies in the layer
matmul_act_grad = _with_gradient(matmul, lambda g, w: matmul(g, swap(w)), lambda g, w: matmul.spec(g, _turned(w)))
conv_input_act_grad = _with_gradient(conv_input, conv_input, conv_input.spec)


def _kept_spec(x: Spec, w: Spec, bias: Spec | None, *, act: str) -> tuple[Spec, Spec]:
    out = matmul_bias_act.spec(x, w, bias, act=act)
    return out, out


def _kept_fallback(x: Tensor, w: Tensor, bias: Tensor | None, *, act: str) -> tuple[Tensor, Tensor]:
    z = matmul_bias_act(x, w, bias, act=None)
    op, options = activation(act)
    return z, op(z, **options)


# x, w, bias or None -> x @ w + bias, and the activation of that
matmul_act_kept = matmul.variant("act_kept", _kept_spec, fallback=_kept_fallback)
