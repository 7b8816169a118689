"""Matrix products and convolutions with what usually follows them in the same call: a bias, something added, an activation.

Nobody writes these: the fusion pass puts them in place of the ops they are made of.
"""

from typing import Any

from mlkit.core.graph import Call
from mlkit.core.op import OPS, Op
from mlkit.core.spec import Spec, require, require_float
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Images, Traits
from mlkit.primitives.fused.second_order import through_fallback
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import sum_
from mlkit.primitives.window import channels_apart, conv

_activations: dict[str, Any] = {}  # name -> (op, its parameters), of the ops there were when it was last filled


def activations() -> dict[str, Any]:
    """Name -> (op, its parameters) of all that may end a product."""
    return {name: (op, params) for op in OPS.values() for name, params in op.traits.epilogues.items()}


def activation(name: str) -> Any:
    """(op, its parameters) of an activation, or None where there is none of that name."""
    if name not in _activations:
        _activations.update(activations())
    return _activations.get(name)


def act_of(call: Call) -> str | None:
    """The name by which a fused product knows the activation that a call is; None where it is none."""
    return next((name for name, params in call.op.traits.epilogues.items() if params == call.params), None)


def _with_bias_act(inner: Op, images: Images | None = None) -> Op:
    """The variant x, w, bias (or None), residual (optional) -> act(inner(x, w) + bias + residual) of an op; other parameters are
    inner's."""
    name = f"{inner.name}_bias_act"

    def spec(x: Spec, w: Spec, bias: Spec | None, residual: Spec | None = None, *, act: str | None, **params: Any) -> Spec:
        if act is not None and activation(act) is None:
            known = ", ".join(map(repr, (None, *activations())))
            raise ValueError(f"{name}: unknown activation {act!r}. Expected one of {known}.")
        out = inner.spec(x, w, **params)
        require_float(name, "the product", out)
        require(name, "the bias", bias, out.shape[-1:], out.dtype)
        require(name, "what is added", residual, out.shape, out.dtype)
        return out

    def fallback(
        x: Tensor, w: Tensor, bias: Tensor | None, residual: Tensor | None = None, *, act: str | None, **params: Any
    ) -> Tensor:
        z = inner(x, w, **params)
        z = z if bias is None else z + bias
        z = z if residual is None else z + residual
        if act is None:
            return z
        last, options = activation(act)
        return last(z, **options)

    def vjp(
        g: Tensor, y: Tensor, x: Tensor, w: Tensor, bias: Tensor | None, *residual: Tensor, act: str | None, **params: Any
    ) -> tuple[Tensor | None, ...]:
        dz = g
        if act is not None:
            last, options = activation(act)
            if last.keep != "y":  # its gradient is no function of the result, and its argument is not there
                return through_fallback(op, g, (x, w, bias, *residual), dict(params, act=act))
            (dz,) = last.vjp(g, y, y, **options)  # of the argument it asks shape and dtype only
        d_bias = None if bias is None else sum_(dz, axes=tuple(range(dz.ndim - 1)), keepdims=False)
        return *inner.vjp(dz, None, x, w, **params), d_bias, *(None if r is None else dz for r in residual)

    op = inner.variant("bias_act", spec, vjp, "xy", fallback, traits=Traits(images=images))
    return op


matmul_bias_act = _with_bias_act(matmul)
conv_bias_act = _with_bias_act(conv, Images((0, 3), (0,), True, channels_apart))
