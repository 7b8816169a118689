"""Ops of which JAX makes something that litert-converter cannot turn into a file, or turns into a wrong one, in other forms."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.graph import Call
from mlkit.core.spec import Dim, window_padding
from mlkit.export.jax_lowering import jax, jnp
from mlkit.export.tracing import op

_RECURRENT = {op("lstm"), op("gru"), op("rnn")}
_NONE = {op("while"), op("scan"), op("cond")}  # the converter leaves their bodies where no file can have them


def takes(call: Call) -> bool:
    """Whether JAX's row of a call's op is taken.

    Raises:
        NotImplementedError: The call is a loop or a branch, or a recurrent op, which is unrolled, of steps that are not known.
    """
    unrolled = call.op in _RECURRENT or call.op is op("scan")
    if call.op in _NONE or (call.op in _RECURRENT and type(call.args[0].shape[1]) is Dim):
        why = "it is unrolled, for which its steps must be known" if unrolled else "it has no loops and no branches"
        raise NotImplementedError(
            f"{call.op.name} in {'/'.join(map(str, call.place))}: format 'litert' has nothing for it: {why}."
        )
    return call.op not in _RECURRENT


def _dilated(g: Any, strides: Sequence[int]) -> Any:
    """Zeros between neighbours along the axes of space."""
    for axis, s in enumerate(strides, 1):
        if s == 1:
            continue
        n = g.shape[axis]
        apart = jnp.pad(jnp.expand_dims(g, axis + 1), [(0, s - 1) if i == axis + 1 else (0, 0) for i in range(g.ndim + 1)])
        apart = jnp.reshape(apart, (*g.shape[:axis], n * s, *g.shape[axis + 1 :]))
        g = jax.lax.slice_in_dim(apart, 0, (n - 1) * s + 1, axis=axis)
    return g


def _conv_input(g: Any, w: Any, shape: Sequence[Any], strides: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """A transposed convolution as one of what is pulled apart: the converter forgets margins of what JAX makes of it."""
    rank = len(strides)
    margins = []
    for i in range(rank):
        size, reach = shape[i + 1], (w.shape[i] - 1) * dilation[i]
        low = reach - window_padding(padding, i, size, w.shape[i], strides[i], dilation[i])[0]
        margins.append((low, size - ((g.shape[i + 1] - 1) * strides[i] + 1) - low + reach))
    space, inner, outer = w.shape[:rank], w.shape[rank], w.shape[rank + 1]
    parts = jnp.reshape(jnp.flip(jnp.asarray(w), tuple(range(rank))), (*space, inner, groups, outer // groups))
    turned = jnp.reshape(jnp.moveaxis(parts, -1, rank), (*space, outer // groups, inner, groups))
    turned = jnp.reshape(jnp.swapaxes(turned, -1, -2), (*space, outer // groups, groups * inner))
    letters = "DHW"[-rank:] if rank <= 3 else "".join(map(chr, range(ord("a"), ord("a") + rank)))
    names = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return jax.lax.conv_general_dilated(
        _dilated(jnp.asarray(g), strides), turned, (1,) * rank, margins,
        rhs_dilation=tuple(dilation), dimension_numbers=names, feature_group_count=groups,
    )  # fmt: skip


def _searchsorted(line: Any, values: Any, side: str) -> Any:
    """How many numbers of the sorted line are below each value (or, from the right, not above it)."""
    apart = jnp.expand_dims(jnp.asarray(values), -1)
    below = line <= apart if side == "right" else line < apart
    return jnp.sum(below.astype("int32"), -1, dtype="int32")


ROWS = {"conv_input": _conv_input, "searchsorted": _searchsorted}
