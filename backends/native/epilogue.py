"""Matrix product or convolution, then bias, something added and activation in place, over `xp`."""

from mlkit.backends.native import elementwise_out, fused, matmul, window
from mlkit.backends.native.device import device_of
from mlkit.backends.native.table import ByFallback
from mlkit.primitives.fused.epilogue import activation


def make(xp):
    """Op name -> rows."""
    finish = device_of(xp).finish(finish_over(xp))
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


def finish_over(xp):
    """A function (y, bias, residual, act) -> y with what follows a product, in place where that can be; `plain` is the same without
    float32 between for half floats."""
    into, others = elementwise_out.make(xp), fused.make(xp)

    def activated(y, act):
        op, params = activation(act)
        in_place = into.get(op.name)
        if in_place is not None:
            in_place(y, out=y, **params)
            return y
        return others.get(op.name, ByFallback(op.name, xp))(y, **params)

    def finish(y, bias, residual, act):
        """Half floats keep their dtype: NumPy computes them in float32 element by element."""
        if bias is not None:
            y += bias
        if residual is not None:
            y += residual
        return y if act is None else activated(y, act)

    run = fused.in_single(xp, finish)
    run.plain = finish
    return run
