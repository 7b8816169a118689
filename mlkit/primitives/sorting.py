"""Primitives that put elements in order along one axis. Both are stable, ascending, and place NaN last."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, normalize_axis
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.axes import shifted
from mlkit.primitives.counts import elements, passes_of_halving
from mlkit.primitives.movement import take_along_axis


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


def _searchsorted_spec(line: Spec, values: Spec, side: str) -> Spec:
    return Spec(values.shape, "int32")


def _halvings(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
    return elements(outs[0]) * args[0].shape[-1].bit_length()


def _on_one_line(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor | None:
    return None if has[0] else op(*args, **params)


# line: ascending vector; where each value belongs in it, before ("left") or after ("right") equal elements
searchsorted = Op("searchsorted", _searchsorted_spec, keep="", traits=Traits(flops=_halvings, batch=_on_one_line))
