"""Matrix product or convolution, then bias, something added and activation in place, over `xp`."""

from mlkit.backends.native import fused, matmul, window


def make(xp):
    """Op name -> rows."""
    finish = _finish(xp)
    inner = dict(matmul_bias_act=matmul.make(xp)["matmul"], conv_bias_act=window.make(xp)["conv"])
    return {name: [_followed_by(*row, finish) for row in rows] for name, rows in inner.items()}


def _followed_by(accepts, product, finish):
    """A row of a product, with what comes after it."""

    def accepts_product(x, w, bias, residual=None, *, act, **params):
        return accepts(x, w, **params)

    def kernel(x, w, bias, residual=None, *, act, **params):
        return finish(product(x, w, **params), bias, residual, act)

    if hasattr(product, "into"):

        def into(x, w, bias, residual=None, *, act, out, **params):
            product.into(x, w, out=out, **params)
            y = finish.plain(out, bias, residual, act)  # rows for half floats have no `into`
            if y is not out:  # an activation that cannot work in place
                out[...] = y

        kernel.into = into
    if hasattr(product, "workspace"):
        kernel.workspace = lambda x, w, bias, residual=None, *, act, **params: product.workspace(x, w, **params)
    return accepts and accepts_product, kernel


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

    def finish(y, bias, residual, act):
        """Half floats keep their dtype: NumPy computes them in float32 element by element."""
        if bias is not None:
            y += bias
        if residual is not None:
            y += residual
        return activations[act](y)

    run = fused.in_single(xp, finish)
    run.plain = finish
    return run
