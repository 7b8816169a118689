"""The simple recurrent net over whole sequences, and its gradient. See `recurrent` for what goes in and comes out."""

from collections.abc import Iterator

from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Kept, Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import relu
from mlkit.primitives.fused.recurrent import check, check_gradient, join, project, results, times, total, vjp_by, weight_grad
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import element
from mlkit.primitives.shape import sum_

_ACTIVATIONS = {op.name: op for op in (el.tanh, el.sigmoid, relu)}  # whose gradients are functions of their results


def _rnn_spec(
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    activation: str,
    reverse: bool = False,
    keep: Spec | None = None,
) -> tuple[Spec, ...]:
    check("rnn", x, (h,), kernel, recurrent, bias, 1)
    if activation not in _ACTIVATIONS:
        raise ValueError(f"rnn: unknown activation {activation!r}; known are {', '.join(_ACTIVATIONS)}.")
    return results(x, (h,), keep)


def _rnn_steps(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, activation: str, reverse: bool
) -> Iterator[Tensor]:
    """h after each step."""
    z = project(x, kernel, bias)
    for t in times(x, reverse):
        h = _ACTIVATIONS[activation](element(z, t, axis=1) + matmul(h, recurrent))
        yield h


def _rnn(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, activation: str, reverse: bool = False
) -> tuple[Tensor, ...]:
    hs = list(_rnn_steps(x, h, kernel, recurrent, bias, activation, reverse))
    return join(hs, reverse), hs[-1]


def _rnn_grad_spec(
    ghs: Spec | None,
    gh: Spec | None,
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    *kept,
    activation: str,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    check("rnn_grad", x, (h,), kernel, recurrent, bias, 1)
    check_gradient("rnn_grad", ghs, (gh,), x, (h,), kept)
    return x, h, kernel, recurrent, Spec((kernel.shape[1],), x.dtype)


def _rnn_grad(
    ghs: Tensor | None,
    gh: Tensor | None,
    x: Tensor,
    h: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    activation: str,
    reverse: bool = False,
) -> tuple[Tensor | None, ...]:
    """The steps the other way round."""
    hs = list(_rnn_steps(x, h, kernel, recurrent, bias, activation, reverse))
    dh, dzs = gh, []
    for t, y in zip(times(x, not reverse), reversed(hs)):
        dh = total(dh, None if ghs is None else element(ghs, t, axis=1), y * 0)
        dzs += _ACTIVATIONS[activation].vjp(dh, y, y)
        dh = matmul(dzs[-1], swap(recurrent))
    dz, before = join(dzs, not reverse), join([h, *hs[:-1]], reverse)
    d_bias = sum_(dz, axes=(0, 1), keepdims=False)
    return matmul(dz, swap(kernel)), dh, weight_grad(x, dz), weight_grad(before, dz), d_bias


# State h; bias (units). Elman, "Finding structure in time", Cognitive Science 14 (1990).
rnn = Op("rnn", _rnn_spec, vjp_by(lambda: rnn_grad), "x", _rnn)
rnn_grad = rnn.variant("grad", _rnn_grad_spec, fallback=_rnn_grad, traits=Traits(kept=Kept(2, 5, 1)))
