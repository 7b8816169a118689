"""Primitives that put elements in order along one axis. Both are stable, ascending, and place NaN last."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, is_known, normalize_axis, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.axes import on_last_axes, shifted
from mlkit.primitives.counts import elements, passes_of_halving
from mlkit.primitives.movement import flip, slice_along, take_along_axis


def _order_spec(name: str, dtype: str | None = None) -> Callable[..., Any]:
    def spec(x: Spec, axis: int) -> Spec:
        normalize_axis(name, axis, len(x.shape))
        return Spec(x.shape, dtype or x.dtype)

    return spec


def _sort_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    """Element i went to the place that the inverse of the ordering permutation names."""
    rank = argsort(argsort(x, axis=axis), axis=axis)
    return (take_along_axis(g, rank, axis=axis),)


# axis: 0 <= axis < rank
_ordering = Traits(flops=passes_of_halving(1), batch=shifted("axis"))
sort = Op("sort", _order_spec("sort"), _sort_vjp, keep="x", traits=_ordering)
argsort = Op("argsort", _order_spec("argsort", "int32"), keep="", traits=_ordering)


def _top_k_spec(x: Spec, k: int) -> Spec:
    size = x.shape[-1]
    if is_known(size) and not 0 <= k <= size:
        raise ValueError(
            f"top_k: `k` must be between 0 and the size of the last axis, but got k={k} for shape {show(x.shape)}."
        )
    return Spec((*x.shape[:-1], k), "int32")


def _top_k_indices(x: Tensor, k: int) -> Tensor:
    """Sorted backwards and turned round twice, so that of equal elements the first comes first."""
    last = x.ndim - 1
    backwards = argsort(flip(x, axes=(last,)), axis=last)
    order = (x.shape[last] - 1) - flip(backwards, axes=(last,))
    return slice_along(order, last, 0, k)


# of the last axis the places of the k largest, largest first, of equal ones the first; NaN is larger than all others
top_k_indices = Op(
    "top_k_indices",
    _top_k_spec,
    keep="",
    fallback=_top_k_indices,
    traits=Traits(flops=passes_of_halving(1), batch=on_last_axes),
)


def _searchsorted_spec(line: Spec, values: Spec, side: str) -> Spec:
    return Spec(values.shape, "int32")


def _halvings(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
    return elements(outs[0]) * args[0].shape[-1].bit_length()


def _on_one_line(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor | None:
    return None if has[0] else op(*args, **params)


# line: ascending vector; where each value belongs in it, before ("left") or after ("right") equal elements
searchsorted = Op("searchsorted", _searchsorted_spec, keep="", traits=Traits(flops=_halvings, batch=_on_one_line))
