"""Kernels of fused activations, softmax and masks over `xp`: few passes over memory, temporaries used again."""

import math

from mlkit.backends.native.elementwise import is_half
from mlkit.backends.native.matmul import as_matrix
from mlkit.backends.native.special_functions import make as special_functions


def make(xp):
    """Op name -> kernel."""
    table = {**_activations(xp), **_softmax(xp), **_cross_entropy(xp)}
    return {"masked_scale": _masked_scale(xp), **{name: in_single(xp, kernel) for name, kernel in table.items()}}


def in_single(xp, function, rounded=None):
    """The kernel with half floats computed in float32 and rounded once, and without NumPy's floating-point warnings.

    rounded: so many results are rounded, by default all; the others stay as they are.
    """

    def kernel(*args, **params):
        if not hasattr(xp, "errstate"):
            return function(*args, **params)
        with xp.errstate(all="ignore"):
            return function(*args, **params)

    def run(*args, **params):
        half = next((a.dtype for a in args if hasattr(a, "dtype") and is_half(a)), None)
        if half is None:
            return kernel(*args, **params)
        out = kernel(*(a.astype("float32") if getattr(a, "dtype", None) == half else a for a in args), **params)
        if type(out) is not tuple:
            return out if rounded == 0 else out.astype(half)
        return tuple(o.astype(half) if rounded is None or i < rounded else o for i, o in enumerate(out))

    return run


def _masked_scale(xp):
    kept = _kept(xp)
    return lambda x, keep, scale: kept(xp.asarray(xp.multiply(x, x.dtype.type(scale))), keep)


def _kept(xp):
    def kept(y, keep):
        """y, a fresh array, with 0 where it is not kept: by bits, so that infinities and signs vanish too; `xp.where` takes ten times
        longer on the CPU."""
        bits = f"i{y.dtype.itemsize}"
        xp.bitwise_and(y.view(bits), xp.negative(xp.asarray(keep).view("i1").astype(bits)), out=y.view(bits))
        return y

    return kept


def _activations(xp):
    erf = special_functions(xp)["erf"]
    tanh_scale, cubic = math.sqrt(2 / math.pi), 0.044715

    def sigmoid(x):
        s = xp.negative(x)
        xp.exp(s, out=s)
        s += 1
        return xp.reciprocal(s, out=s)

    def silu(x):
        s = sigmoid(x)
        s *= x
        return s

    def silu_grad(g, x):
        """s (1 + x (1 - s))"""
        s = sigmoid(x)
        y = 1 - s
        y *= x
        y += 1
        y *= s
        y *= g
        return y

    def gelu_tanh(x):
        t = x * x
        t *= cubic
        t += 1
        t *= x
        t *= tanh_scale
        return xp.tanh(t, out=t)

    def gelu_cdf(x):
        t = erf(x * x.dtype.type(math.sqrt(0.5)))
        t += 1
        t *= 0.5
        return t

    def gelu(x, approximate):
        if not approximate:
            t = gelu_cdf(x)
            t *= x
            return t
        t = gelu_tanh(x)
        t += 1
        t *= x
        t *= 0.5
        return t

    def gelu_grad(g, x, approximate):
        if approximate:
            t = gelu_tanh(x)
            slope = x * x
            slope *= 3 * cubic * tanh_scale
            slope += tanh_scale
            slope *= 1 - t * t
            slope *= x
            slope += t
            slope += 1
            slope *= 0.5
        else:
            slope = x * x
            slope *= -0.5
            xp.exp(slope, out=slope)
            slope *= 1 / math.sqrt(2 * math.pi)
            slope *= x
            slope += gelu_cdf(x)
        slope *= g
        return slope

    def softplus(x):
        """max(x, 0) + log(1 + exp(-|x|))"""
        y = xp.abs(x)
        xp.negative(y, out=y)
        xp.exp(y, out=y)
        xp.log1p(y, out=y)
        y += xp.maximum(x, 0)
        return y

    kept = _kept(xp)

    def relu_grad(g, y):
        return kept(xp.array(g), y > 0)

    def relu6_grad(g, y):
        return kept(xp.array(g), (y > 0) & (y < 6))

    table = dict(silu=silu, silu_grad=silu_grad, gelu=gelu, gelu_grad=gelu_grad, softplus=softplus)
    table = {name: _for_scalars_too(kernel) for name, kernel in table.items()}
    return dict(
        table,
        relu=lambda x: xp.maximum(x, x.dtype.type(0)),
        relu_grad=relu_grad,
        relu6=lambda x: xp.clip(x, x.dtype.type(0), x.dtype.type(6)),
        relu6_grad=relu6_grad,
    )


def _for_scalars_too(kernel):
    """Results of shape () are no arrays to NumPy and cannot be written into."""

    def run(*args, **params):
        if args[0].ndim:
            return kernel(*args, **params)
        return kernel(*(a.reshape(1) for a in args), **params).reshape(())

    return run


def _softmax(xp):
    def softmax(x, axis):
        y = x - x.max(axis, keepdims=True)
        xp.exp(y, out=y)
        y /= y.sum(axis, keepdims=True)
        return y

    def softmax_grad(g, y, axis):
        d = g * y
        d -= y * d.sum(axis, keepdims=True)
        return d

    def log_softmax(x, axis):
        y = x - x.max(axis, keepdims=True)
        y -= xp.log(xp.exp(y).sum(axis, keepdims=True))
        return y

    def log_softmax_grad(g, y, axis):
        d = xp.exp(y)
        d *= g.sum(axis, keepdims=True)
        return xp.subtract(g, d, out=d)

    return dict(softmax=softmax, softmax_grad=softmax_grad, log_softmax=log_softmax, log_softmax_grad=log_softmax_grad)


def _cross_entropy(xp):
    def picked(target, classes):
        """Row and column of each target that is a class, as flat indices."""
        t = target.reshape(-1)
        rows = xp.flatnonzero((t >= 0) & (t < classes))
        return rows, t[rows]

    def softmax_cross_entropy(logits, target):
        peak = logits.max(-1, keepdims=True)
        z = logits - peak
        if target.ndim == logits.ndim:
            weight, dot = target.sum(-1), (target * z).sum(-1)
        else:
            rows, columns = picked(target, logits.shape[-1])
            weight, dot = xp.zeros((2, target.size), logits.dtype)
            weight[rows], dot[rows] = 1, as_matrix(z)[rows, columns]
            weight, dot = weight.reshape(target.shape), dot.reshape(target.shape)
        total = xp.log(xp.exp(z, out=z).sum(-1))
        return weight * total - dot, total + peak[..., 0]

    def softmax_cross_entropy_grad(g, logits, target, total):
        p = logits - total[..., None]
        xp.exp(p, out=p)
        if target.ndim == logits.ndim:
            p *= target.sum(-1, keepdims=True)
            p -= target
            p *= g[..., None]
            return p
        rows, columns = picked(target, logits.shape[-1])
        weight = xp.zeros(target.size, logits.dtype)
        weight[rows] = g.reshape(-1)[rows]
        p *= weight.reshape(*target.shape, 1)
        as_matrix(p)[rows, columns] -= weight[rows]
        return p

    return dict(softmax_cross_entropy=softmax_cross_entropy, softmax_cross_entropy_grad=softmax_cross_entropy_grad)
