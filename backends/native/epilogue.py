"""Matrix product or convolution, then bias and activation in place, over `xp`."""

from mlkit.backends.native import fused, matmul, window
from mlkit.backends.native.table import Rows


def make(xp):
    """Op name -> kernel."""
    finish = _finish(xp)
    inner = dict(matmul_bias_act=matmul.make(xp)["matmul"], conv_bias_act=window.make(xp)["conv"])
    return {name: _followed_by(Rows(*rows), finish) for name, rows in inner.items()}


def _followed_by(product, finish):
    def kernel(x, w, bias, act, **params):
        return finish(product(x, w, **params), bias, act)

    return kernel


def _finish(xp):
    others = fused.make(xp)

    def relu6(y):
        return xp.clip(y, 0, 6, out=y)

    def sigmoid(y):
        xp.negative(y, out=y)
        xp.exp(y, out=y)
        y += 1
        return xp.reciprocal(y, out=y)

    activations = {
        None: lambda y: y,
        "relu": lambda y: xp.maximum(y, 0, out=y),
        "relu6": relu6,
        "sigmoid": sigmoid,
        "tanh": lambda y: xp.tanh(y, out=y),
        "silu": others["silu"],
        "gelu": lambda y: others["gelu"](y, approximate=True),
        "gelu_exact": lambda y: others["gelu"](y, approximate=False),
    }

    def finish(y, bias, act):
        """Half floats keep their dtype: NumPy computes them in float32 element by element."""
        if bias is not None:
            y += bias
        return activations[act](y)

    return fused.in_single(xp, finish)
