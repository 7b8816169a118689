"""Matrix products and convolutions with what usually follows them in the same call: a bias, something added, an activation.

Nobody writes these: the fusion pass puts them in place of the ops they are made of.
"""

from mlkit.core.spec import require, require_float
from mlkit.core.traits import Images, Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import gelu, relu, relu6, relu6_grad, relu_grad, silu
from mlkit.primitives.fused.second_order import through_fallback
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import sum_
from mlkit.primitives.window import channels_apart, conv

# name -> function; of those that come first the gradient is a function of (g, result)
ACTIVATIONS = {
    None: lambda z: z,
    "relu": relu,
    "relu6": relu6,
    "sigmoid": el.sigmoid,
    "tanh": el.tanh,
    "silu": silu,
    "gelu": lambda z: gelu(z, approximate=True),
    "gelu_exact": lambda z: gelu(z, approximate=False),
}
_GRADIENTS = {
    None: lambda g, y: g,
    "relu": relu_grad,
    "relu6": relu6_grad,
    "sigmoid": lambda g, y: g * (y * (1 - y)),
    "tanh": lambda g, y: g * (1 - y * y),
}


def _with_bias_act(inner, images=None):
    """The variant x, w, bias (or None), residual (optional) -> act(inner(x, w) + bias + residual) of an op; other parameters are
    inner's."""
    name = f"{inner.name}_bias_act"

    def spec(x, w, bias, residual=None, *, act, **params):
        if act not in ACTIVATIONS:
            raise ValueError(f"{name}: unknown activation {act!r}. Expected one of {', '.join(map(repr, ACTIVATIONS))}.")
        out = inner.spec(x, w, **params)
        require_float(name, "the product", out)
        require(name, "the bias", bias, out.shape[-1:], out.dtype)
        require(name, "what is added", residual, out.shape, out.dtype)
        return out

    def fallback(x, w, bias, residual=None, *, act, **params):
        z = inner(x, w, **params)
        z = z if bias is None else z + bias
        return ACTIVATIONS[act](z if residual is None else z + residual)

    def vjp(g, y, x, w, bias, *residual, act, **params):
        if act not in _GRADIENTS:
            return through_fallback(op, g, (x, w, bias, *residual), dict(params, act=act))
        dz = _GRADIENTS[act](g, y)
        d_bias = None if bias is None else sum_(dz, axes=tuple(range(dz.ndim - 1)), keepdims=False)
        return *inner.vjp(dz, None, x, w, **params), d_bias, *(None if r is None else dz for r in residual)

    op = inner.variant("bias_act", spec, vjp, "xy", fallback, traits=Traits(images=images))
    return op


matmul_bias_act = _with_bias_act(matmul)
conv_bias_act = _with_bias_act(conv, Images((0, 3), (0,), True, channels_apart))
