"""GRU: gated recurrent units over whole sequences, and their gradient. See `recurrent` for what goes in and comes out."""

from collections.abc import Iterator
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Kept, Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.recurrent import (
    check,
    check_gradient,
    join,
    last_axis,
    project,
    results,
    split,
    times,
    total,
    vjp_by,
    weight_grad,
)
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import concat, element, slice_along
from mlkit.primitives.shape import reshape, sum_


def _gru_spec(
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    reset_after: bool = True,
    reverse: bool = False,
    keep: Spec | None = None,
) -> tuple[Spec, ...]:
    check("gru", x, (h,), kernel, recurrent, bias, 3, _bias_rows(reset_after))
    return results(x, (h,), keep)


def _bias_rows(reset_after: bool) -> tuple[int, ...]:
    return (2,) if reset_after else ()


def _biases(bias: Tensor | None, reset_after: bool) -> tuple[Tensor | None, Tensor | None]:
    """The biases for the inputs and for the state."""
    if bias is None or not reset_after:
        return bias, None
    return element(bias, 0), element(bias, 1)


def _for_gates(recurrent: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrent kernel's parts for both gates and for the candidate."""
    units = recurrent.shape[0]
    return slice_along(recurrent, 1, 0, 2 * units), slice_along(recurrent, 1, 2 * units, 3 * units)


def _gru_steps(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, reset_after: bool, reverse: bool
) -> Iterator[tuple[Any, ...]]:
    """For each step h after it, and both gates, the candidate, what the reset gate multiplies and the h before."""
    input_bias, state_bias = _biases(bias, reset_after)
    for_gates, for_candidate = _for_gates(recurrent)
    z = project(x, kernel, input_bias)
    for t in times(x, reverse):
        xz, xr, xh = split(element(z, t, axis=1), 3)
        if reset_after:
            sz, sr, inner = split(project(h, recurrent, state_bias), 3)
        else:
            (sz, sr), inner = split(matmul(h, for_gates), 2), h
        update, reset = el.sigmoid(xz + sz), el.sigmoid(xr + sr)
        chosen = reset * inner
        candidate = el.tanh(xh + (chosen if reset_after else matmul(chosen, for_candidate)))
        before, h = h, update * h + (1 - update) * candidate
        yield h, (update, reset, candidate, inner, before)


def _gru(
    x: Tensor,
    h: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    hs = [h for h, _ in _gru_steps(x, h, kernel, recurrent, bias, reset_after, reverse)]
    return join(hs, reverse), hs[-1]


def _gru_grad_spec(
    ghs: Spec | None,
    gh: Spec | None,
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    *kept,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    check("gru_grad", x, (h,), kernel, recurrent, bias, 3, _bias_rows(reset_after))
    check_gradient("gru_grad", ghs, (gh,), x, (h,), kept)
    return x, h, kernel, recurrent, Spec((*_bias_rows(reset_after), kernel.shape[1]), x.dtype)


def _gru_grad(
    ghs: Tensor | None,
    gh: Tensor | None,
    x: Tensor,
    h: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple[Tensor | None, ...]:
    """The steps the other way round."""
    steps = list(_gru_steps(x, h, kernel, recurrent, bias, reset_after, reverse))
    for_gates, for_candidate = _for_gates(recurrent)
    dh = gh
    dxs, dss = [], []  # gradients of what the kernel gives, and of what the recurrent kernel gives
    for t, step in zip(times(x, not reverse), reversed(steps)):
        update, reset, candidate, inner, before = step[1]
        dh = total(dh, None if ghs is None else element(ghs, t, axis=1), inner * 0)
        du = dh * (before - candidate) * update * (1 - update)
        dc = dh * (1 - update) * (1 - candidate * candidate)
        d_chosen = dc if reset_after else matmul(dc, swap(for_candidate))
        dr, d_inner = d_chosen * inner * reset * (1 - reset), d_chosen * reset
        dxs.append(last_axis(du, dr, dc))
        dss.append(last_axis(du, dr, d_inner) if reset_after else last_axis(du, dr))
        dh = dh * update + matmul(dss[-1], swap(recurrent if reset_after else for_gates))
        dh = dh if reset_after else dh + d_inner
    dx, ds = join(dxs, not reverse), join(dss, not reverse)
    hs = join([before for _, (*_, before) in steps], reverse)
    d_recurrent, d_bias = weight_grad(hs, ds), sum_(dx, axes=(0, 1), keepdims=False)
    if reset_after:
        d_bias = concat(*(reshape(b, shape=(1, b.shape[0])) for b in (d_bias, sum_(ds, axes=(0, 1), keepdims=False))), axis=0)
    else:
        chosen = join([reset * before for _, (_, reset, *_, before) in steps], reverse)
        d_recurrent = last_axis(d_recurrent, weight_grad(chosen, split(dx, 3)[2]))
    return matmul(dx, swap(kernel)), dh, weight_grad(x, dx), d_recurrent, d_bias


# State h. Cho et al., EMNLP 2014, whose reset gate multiplies the state; bias (3 units). With `reset_after` it multiplies the
# state's product with the recurrent kernel instead, as in cuDNN; bias (2, 3 units), for the inputs and for the state.
gru = Op("gru", _gru_spec, vjp_by(lambda: gru_grad), "x", _gru)
gru_grad = gru.variant("grad", _gru_grad_spec, fallback=_gru_grad, traits=Traits(kept=Kept(2, 5, 1)))
