"""LSTM: long short-term memory over whole sequences, and its gradient. See `recurrent` for what goes in and comes out."""

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
from mlkit.primitives.movement import element
from mlkit.primitives.shape import sum_


def _lstm_spec(
    x: Spec, h: Spec, c: Spec, kernel: Spec, recurrent: Spec, bias: Spec | None, reverse: bool = False, keep: Spec | None = None
) -> tuple[Spec, ...]:
    check("lstm", x, (h, c), kernel, recurrent, bias, 4)
    return results(x, (h, c), keep)


def _lstm_steps(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, reverse: bool
) -> Iterator[tuple[Any, ...]]:
    """For each step h and c after it, and i, f, candidate, o, tanh(c) and the h and c before."""
    z = project(x, kernel, bias)
    for t in times(x, reverse):
        zi, zf, zc, zo = split(element(z, t, axis=1) + matmul(h, recurrent), 4)
        i, f, candidate, o = el.sigmoid(zi), el.sigmoid(zf), el.tanh(zc), el.sigmoid(zo)
        before = h, c
        c = f * c + i * candidate
        th = el.tanh(c)
        h = o * th
        yield h, c, (i, f, candidate, o, th, *before)


def _lstm(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, reverse: bool = False
) -> tuple[Tensor, ...]:
    steps = list(_lstm_steps(x, h, c, kernel, recurrent, bias, reverse))
    return join([step[0] for step in steps], reverse), *steps[-1][:2]


def _lstm_grad_spec(
    ghs: Spec | None,
    gh: Spec | None,
    gc: Spec | None,
    x: Spec,
    h: Spec,
    c: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    *kept,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    check("lstm_grad", x, (h, c), kernel, recurrent, bias, 4)
    check_gradient("lstm_grad", ghs, (gh, gc), x, (h, c), kept)
    return x, h, c, kernel, recurrent, Spec((kernel.shape[1],), x.dtype)


def _lstm_grad(
    ghs: Tensor | None,
    gh: Tensor | None,
    gc: Tensor | None,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    reverse: bool = False,
) -> tuple[Tensor | None, ...]:
    """The steps the other way round."""
    steps = list(_lstm_steps(x, h, c, kernel, recurrent, bias, reverse))
    dh, dc = gh, gc
    dzs = []
    for t, step in zip(times(x, not reverse), reversed(steps)):
        i, f, candidate, o, th, _, before = step[2]
        dh = total(dh, None if ghs is None else element(ghs, t, axis=1), th * 0)
        dc = total(dc, dh * o * (1 - th * th))
        di, df = dc * candidate * i * (1 - i), dc * before * f * (1 - f)
        dg, do = dc * i * (1 - candidate * candidate), dh * th * o * (1 - o)
        dzs.append(last_axis(di, df, dg, do))
        dh, dc = matmul(dzs[-1], swap(recurrent)), dc * f
    dz, hs = join(dzs, not reverse), join([step[2][5] for step in steps], reverse)
    d_recurrent, d_bias = weight_grad(hs, dz), sum_(dz, axes=(0, 1), keepdims=False)
    return matmul(dz, swap(kernel)), dh, dc, weight_grad(x, dz), d_recurrent, d_bias


# States h and c; bias (4 units). Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the
# forget gate of Gers et al. (2000).
lstm = Op("lstm", _lstm_spec, vjp_by(lambda: lstm_grad), "x", _lstm)
lstm_grad = lstm.variant("grad", _lstm_grad_spec, fallback=_lstm_grad, traits=Traits(kept=Kept(3, 6, 1)))
