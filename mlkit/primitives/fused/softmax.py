"""Softmax, its logarithm, and the cross-entropy of both together, which never forms the probabilities."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Spec, normalize_axis, require, require_float, same_size, show
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.second_order import through_fallback
from mlkit.primitives.movement import iota
from mlkit.primitives.reduction import max_
from mlkit.primitives.shape import reshape, sum_


def _spec(name: str) -> Callable[..., Any]:
    def spec(x: Spec, *others: Spec, axis: int) -> Spec:
        axis = normalize_axis(name, axis, len(x.shape))
        require_float(name, "x", x)
        if x.shape[axis] == 0:
            raise ValueError(f"{name}: shape {show(x.shape)} has no elements along axis {axis}.")
        for other in others:
            require(name, "the result whose gradient is given", other, x.shape, x.dtype)
        return x

    return spec


def _shifted(x: Tensor, axis: int) -> Tensor:
    """Less the largest of each row: no exponential overflows."""
    return x - el.stop_gradient(max_(x, axes=(axis,), keepdims=True))


def _softmax(x: Tensor, axis: int) -> Tensor:
    e = el.exp(_shifted(x, axis))
    return e / sum_(e, axes=(axis,), keepdims=True)


def _log_softmax(x: Tensor, axis: int) -> Tensor:
    z = _shifted(x, axis)
    return z - el.log(sum_(el.exp(z), axes=(axis,), keepdims=True))


# axis: 0 <= axis < rank
softmax = Op("softmax", _spec("softmax"), lambda g, y, x, axis: (softmax_grad(g, y, axis=axis),), "y", _softmax)
softmax_grad = Op(
    "softmax_grad",
    _spec("softmax_grad"),
    fallback=lambda g, y, axis: y * (g - sum_(g * y, axes=(axis,), keepdims=True)),
)
log_softmax = Op(
    "log_softmax", _spec("log_softmax"), lambda g, y, x, axis: (log_softmax_grad(g, y, axis=axis),), "y", _log_softmax
)
log_softmax_grad = Op(
    "log_softmax_grad",
    _spec("log_softmax_grad"),
    fallback=lambda g, y, axis: g - el.exp(y) * sum_(g, axes=(axis,), keepdims=True),
)


# ---- cross-entropy ---------------------------------------------------------------------------------------------------


def _is_sparse(target: Spec | Tensor) -> bool:
    return target.dtype in dtypes.INTS or target.dtype in dtypes.UINTS


def _entropy_spec(logits: Spec, target: Spec) -> tuple[Spec, ...]:
    if not logits.shape or logits.shape[-1] == 0:
        raise ValueError(
            f"softmax_cross_entropy: logits need an axis of one class or more, but have shape {show(logits.shape)}."
        )
    expected = logits.shape[:-1] if _is_sparse(target) else logits.shape
    if len(target.shape) != len(expected) or not all(map(same_size, target.shape, expected)):
        raise ShapesDiffer(
            f"softmax_cross_entropy: logits of shape {show(logits.shape)} need {'integer' if _is_sparse(target) else 'float'} "
            "targets of "
            f"shape {show(expected)}, but they have shape {show(target.shape)}."
        )
    require_float("softmax_cross_entropy", "the logits", logits)
    if not _is_sparse(target):
        require("softmax_cross_entropy", "the target", target, expected, logits.dtype)
    row = Spec(logits.shape[:-1], logits.dtype)
    return row, row


def _dense(target: Tensor, logits: Tensor) -> Tensor:
    """Class numbers as rows with a one; a number that is no class gives a row of zeros."""
    if not _is_sparse(target):
        return target
    classes = iota(size=logits.shape[-1], dtype=target.dtype)
    return el.cast(el.equal(reshape(target, shape=(*target.shape, 1)), classes), dtype=logits.dtype)


def _entropy(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    last = logits.ndim - 1
    peak = el.stop_gradient(max_(logits, axes=(last,), keepdims=True))
    total = el.log(sum_(el.exp(logits - peak), axes=(last,), keepdims=True)) + peak
    loss = sum_(_dense(target, logits) * (total - logits), axes=(last,), keepdims=False)
    return loss, reshape(total, shape=loss.shape)


def _entropy_vjp(
    g: Sequence[Tensor | None], out: tuple[Tensor, ...], logits: Tensor, target: Tensor
) -> tuple[Tensor | None, ...]:
    if g[0] is None or g[1] is not None:
        return through_fallback(softmax_cross_entropy, g, (logits, target), {})
    gy, total = g[0], out[1]
    d_target = None
    if not _is_sparse(target) and target.node is not None:
        d_target = reshape(gy, shape=(*gy.shape, 1)) * (reshape(total, shape=(*total.shape, 1)) - logits)
    return softmax_cross_entropy_grad(gy, logits, target, total), d_target


def _entropy_grad_spec(g: Spec, logits: Spec, target: Spec, total: Spec) -> Spec:
    row, _ = _entropy_spec(logits, target)
    require("softmax_cross_entropy_grad", "the gradient", g, row.shape, row.dtype)
    require("softmax_cross_entropy_grad", "the total", total, row.shape, row.dtype)
    return logits


def _entropy_grad(g: Tensor, logits: Tensor, target: Tensor, total: Tensor) -> Tensor:
    t = _dense(target, logits)
    p = el.exp(logits - reshape(total, shape=(*total.shape, 1)))
    return reshape(g, shape=(*g.shape, 1)) * (p * sum_(t, axes=(t.ndim - 1,), keepdims=True) - t)


# logits (..., classes) with target (...) of class numbers or (..., classes) of probabilities -> loss (...), log of the sum of
# exp (...).
softmax_cross_entropy = Op("softmax_cross_entropy", _entropy_spec, _entropy_vjp, "xy", _entropy)
softmax_cross_entropy_grad = Op("softmax_cross_entropy_grad", _entropy_grad_spec, fallback=_entropy_grad)
