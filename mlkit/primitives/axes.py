"""How ops take a further leading axis, for functions that are mapped over one: the trait `batch`.

A rule is called as ``rule(op, args, has, size, params)``: of the tensors among `args` those where `has` is true have a leading axis of
that size, the others none. It returns the results, each with the leading axis, or None where it does not know how. Then it is asked again
with all tensors repeated along such an axis, and at last the op is called once for each element.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Size


def shifted(*names: str) -> Callable[..., Any]:
    """The rule of an op of tensors whose parameters of these names are axes, numbers or tuples of them."""

    def rule(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Any:
        if not all(has):
            return None
        return op(*args, **{k: _shift(p) if k in names else p for k, p in params.items()})

    return rule


def _shift(axes: Any) -> Any:
    return tuple(a + 1 for a in axes) if isinstance(axes, (tuple, list)) else axes + 1


def led(**firsts: Any) -> Callable[..., Any]:
    """The rule of an op of one tensor whose parameters of these names have one number for each axis; these are for the leading one.
    A function is called with its size."""

    def rule(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Any:
        more = {k: (first(size) if callable(first) else first, *params[k]) for k, first in firsts.items()}
        return op(*args, **{**params, **more})

    return rule


def on_last_axes(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Any:
    """The rule of an op that works on the last axes of its tensors, as many of each, and takes any axes before them."""
    return op(*args, **params) if all(has) and len({a.ndim for a in args}) == 1 else None
