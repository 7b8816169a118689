"""Collectives: ops whose results depend on the arguments of all ranks (`core.communicator`). In one process they change nothing.

All ranks must come to the same calls in the same order. So no pass computes one while it compiles, or apart from the other calls
(`traits.communicates`), and what differs between ranks is a tensor (`rank`), never a parameter.
"""

from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.communicator import REDUCTIONS
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.convert import cast
from mlkit.primitives.elementwise import equal, mul
from mlkit.primitives.shape import transpose


def _whole(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Any:
    """Rule of vmap: what treats each element alike takes all examples in one message."""
    return op(*args, **params) if all(has) else None


def _behind(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor:
    """Rule of vmap: the rows that are gathered or scattered stand before the mapped axis."""
    (x,) = args
    perm = (1, 0, *range(2, len(x.shape)))
    return transpose(op(transpose(x, perm=perm), **params), perm=perm)


_BY_ELEMENT = Traits(communicates=True, flops=lambda *_: 0, batch=_whole)
_BY_ROW = Traits(communicates=True, flops=lambda *_: 0, batch=_behind)


def _all_reduce_spec(*xs: Spec, reduction: str = "sum", scale: float = 1.0, label: str = "") -> tuple[Spec, ...]:
    if reduction not in REDUCTIONS:
        raise ValueError(f"all_reduce: `reduction` must be one of {', '.join(REDUCTIONS)}, but is {reduction!r}.")
    if len({x.dtype for x in xs}) != 1:
        raise ValueError(f"all_reduce: the tensors must have one dtype, but have {', '.join(x.dtype for x in xs)}.")
    if dtypes.is_complex(xs[0].dtype) or xs[0].dtype == "bool":
        raise TypeError(f"all_reduce: tensors of {xs[0].dtype} are not reduced; cast them first.")
    if scale != 1 and not dtypes.is_float(xs[0].dtype):
        raise TypeError(f"all_reduce: tensors of {xs[0].dtype} are not scaled, but `scale` is {scale}.")
    return xs


def _all_reduce_vjp(
    gs: Any, ys: Any, *xs: Tensor, reduction: str = "sum", scale: float = 1.0, label: str = ""
) -> tuple[Tensor | None, ...]:
    if reduction != "sum":
        raise NotImplementedError(f"all_reduce: there is no gradient for reduction={reduction!r}, only for 'sum'.")
    there = [k for k, g in enumerate(gs) if g is not None]
    found = dict(zip(there, all_reduce(*(gs[k] for k in there), scale=scale, label=f"gradient of {label}")))
    return tuple(found.get(k) for k in range(len(xs)))


# tensors of one dtype, times `scale` -> a tuple of their sums (minima, maxima) over all ranks. label: what they are, for messages. The
# gradient is that of the sum of what all ranks make of the results.
all_reduce = Op("all_reduce", _all_reduce_spec, _all_reduce_vjp, keep="", traits=_BY_ELEMENT)

TRAVELS_AS = {"float16": "float32", "bfloat16": "float32"}  # the dtype in which tensors are added, where it is not their own


def _start_spec(*xs: Spec, reduction: str = "sum", scale: float = 1.0, label: str = "") -> Spec:
    _all_reduce_spec(*xs, reduction=reduction, scale=scale, label=label)
    return Spec((sum(size_of(x.shape) for x in xs),), TRAVELS_AS.get(xs[0].dtype, xs[0].dtype))


# The two halves of an all_reduce in a plan, between which other calls run: the elements of all tensors as one vector, which is on its way
# and which nobody may read; and that vector when it has arrived.
all_reduce_start = Op("all_reduce_start", _start_spec, None, traits=Traits(communicates=True, flops=lambda *_: 0))
all_reduce_wait = Op("all_reduce_wait", lambda x: x, None, traits=Traits(communicates=True, flops=lambda *_: 0))


def _rows(x: Spec, what: str) -> Spec:
    if not x.shape:
        raise ValueError(f"{what}: the tensor needs a first axis, but is a scalar.")
    return x


def _all_gather_spec(x: Spec, size: int) -> Spec:
    return Spec((_rows(x, "all_gather").shape[0] * size, *x.shape[1:]), x.dtype)


def _reduce_scatter_spec(x: Spec, size: int) -> Spec:
    rows = _rows(x, "reduce_scatter").shape[0]
    if type(rows) is int and rows % size:
        raise ValueError(f"reduce_scatter: {rows} rows of a tensor of shape {show(x.shape)} are not {size} equal parts.")
    return Spec((rows // size, *x.shape[1:]), x.dtype)


# the rows of all ranks, `size` in number, one after the other; each has as many
all_gather = Op("all_gather", _all_gather_spec, lambda g, y, x, size: (reduce_scatter(g, size=size),), keep="", traits=_BY_ROW)
# this rank's part of the rows of the sum over all ranks
reduce_scatter = Op(
    "reduce_scatter", _reduce_scatter_spec, lambda g, y, x, size: (all_gather(g, size=size),), keep="", traits=_BY_ROW
)

# number of this process, an int32 scalar
rank = Op("rank", lambda: Spec((), "int32"), None, traits=_BY_ELEMENT)


def _broadcast_vjp(g: Tensor, y: Tensor, x: Tensor, root: int = 0) -> tuple[Tensor]:
    (total,) = all_reduce(g, reduction="sum", label="gradient of a broadcast")
    return (mul(total, cast(equal(rank(), root), total.dtype)),)


# the tensor of the rank `root`
broadcast = Op("broadcast", lambda x, root=0: x, _broadcast_vjp, keep="", traits=_BY_ELEMENT)
