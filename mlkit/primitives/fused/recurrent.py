"""What recurrent nets over whole sequences have in common: `lstm`, `gru` and `simple_rnn`, which has a single "gate".

Sequences are (batch, time, features), states (batch, units). Gates stand in Keras's order: i, f, c, o for the LSTM, z, r, h for
the GRU. With one state s or two of them:

    x, *s, kernel (features, gates * units), recurrent kernel (units, gates * units), bias or None -> h at all times, *last s
    gradients of these results (or None), these arguments -> gradients of the arguments

With `reverse` the steps go from the last time to the first; h stands where its x does, and the last s are those of the first
time.

A gradient needs the gates. By its mathematics it computes them again; but in a program that holds both calls the first may keep
them: as a further result with the Spec `keep`, which is whatever the kernel likes. The gradient takes all results of that
call but the first as further arguments then.
See `compiler/passes/keep_for_gradients.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.spec import Spec, require, same_size, show
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import concat, slice_along
from mlkit.primitives.shape import reshape


def check(
    name: str,
    x: Spec,
    states: tuple[Spec, ...],
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    gates: int,
    bias_rows: tuple[int, ...] = (),
) -> None:
    """bias_rows: sizes of the bias before its last axis."""
    batch: Any = x.shape[0] if x.shape else None
    units: Any = recurrent.shape[0] if recurrent.shape else None
    for state in states:
        if len(state.shape) != 2:
            raise ValueError(f"{name}: a state must have the axes (batch, units), but has shape {show(state.shape)}.")
    fits = (
        len(x.shape) == 3
        and len(kernel.shape) == len(recurrent.shape) == 2
        and same_size(x.shape[2], kernel.shape[0])
        and kernel.shape[1] == recurrent.shape[1] == gates * units
        and same_size(states[0].shape[1], units)
    )
    if not fits:
        raise ValueError(
            f"{name}: inputs of shape {show(x.shape)} and a state of shape {show(states[0].shape)} need a kernel of shape "
            f"(features, {gates} * units) and a recurrent kernel of shape (units, {gates} * units), but these have shapes "
            f"{show(kernel.shape)} and {show(recurrent.shape)}."
        )
    el.require_dtype(name, x.dtype, dtypes.FLOATS)
    if x.shape[1] == 0:
        raise ValueError(f"{name}: the inputs of shape {show(x.shape)} have no steps (axis 1).")
    for state in states:
        require(name, f"beside inputs of shape {show(x.shape)} each state", state, (batch, units), x.dtype)
    for what, weight in (("the kernel", kernel), ("the recurrent kernel", recurrent)):
        require(name, what, weight, weight.shape, x.dtype)
    require(name, "the bias", bias, (*bias_rows, gates * units), x.dtype)


def check_gradient(
    name: str, g_outputs: Spec | None, g_states: Sequence[Spec | None], x: Spec, states: tuple[Spec, ...], kept: Any
) -> None:
    """kept: results of the forward call, the last one as its kernel likes it."""
    require(name, "the gradient of the outputs", g_outputs, (*x.shape[:2], states[0].shape[1]), x.dtype)
    for g in g_states:
        require(name, "the gradient of a state", g, states[0].shape, x.dtype)
    for last in kept[:-1]:
        require(name, "a last state", last, states[0].shape, x.dtype)


def split(x: Tensor, n: int) -> list[Tensor]:
    """n equal parts of the last axis."""
    last, size = x.ndim - 1, x.shape[-1] // n
    return [slice_along(x, last, i * size, (i + 1) * size) for i in range(n)]


def times(x: Tensor, reverse: bool) -> range:
    """The times in the order of the steps."""
    forward = range(x.shape[1])
    return forward[::-1] if reverse else forward


def join(steps: Sequence[Tensor], reverse: bool) -> Tensor:
    """A list over the steps of (batch, features) -> (batch, time, features)."""
    return concat(*(reshape(s, shape=(s.shape[0], 1, *s.shape[1:])) for s in (steps[::-1] if reverse else steps)), axis=1)


def last_axis(*parts: Tensor) -> Tensor:
    return concat(*parts, axis=parts[0].ndim - 1)


def project(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """All time steps at once: one large product."""
    z = matmul(x, kernel)
    return z if bias is None else z + bias


def _flat(x: Tensor) -> Tensor:
    return reshape(x, shape=(x.shape[0] * x.shape[1], x.shape[2]))


def weight_grad(inputs: Tensor, dz: Tensor) -> Tensor:
    """Summed over batch and time."""
    return matmul(swap(_flat(inputs)), _flat(dz))


def total(*terms: Tensor | None) -> Tensor:
    """The sum of those that are not None."""
    found = [t for t in terms if t is not None]
    out = found[0]
    for t in found[1:]:
        out = out + t
    return out


def results(x: Spec, states: tuple[Spec, ...], keep: Spec | None) -> tuple[Spec, ...]:
    h = states[0]
    found = Spec((x.shape[0], x.shape[1], h.shape[-1]), x.dtype), *states
    return found if keep is None else (*found, keep)


def vjp_by(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """That of an op, by what gives its gradient op."""

    def vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], *args: Any, **params: Any) -> tuple[Tensor | None, ...]:
        *found, d_bias = gradient()(*g, *args, **params)
        return *found, None if args[-1] is None else d_bias

    return vjp
