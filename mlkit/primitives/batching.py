"""Rules of `batch`, as in `axes`, that look at tensors in another shape."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Size
from mlkit.core.tensor import Tensor
from mlkit.primitives.shape import reshape


def aligned(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor:
    """The rule of ops that broadcast: each tensor gets axes of size 1 behind the leading one, as many as the longest has more."""
    rank = max(len(a.shape) - h for a, h in zip(args, has) if type(a) is Tensor)
    return op(*(_with_axes(a, rank + 1 - a.ndim) if h else a for a, h in zip(args, has)), **params)


def pointwise(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor | None:
    """The rule of ops of tensors of one shape that work element by element."""
    ranks = {len(a.shape) - h for a, h in zip(args, has) if type(a) is Tensor}
    alike = len(ranks) == 1 and all(h or type(a) is not Tensor for a, h in zip(args, has))
    return op(*args, **params) if alike else None


def _with_axes(x: Tensor, n: int) -> Tensor:
    return reshape(x, shape=(x.shape[0], *(1,) * n, *x.shape[1:])) if n else x


def in_batches(*tensors: int, shapes: Collection[str] = ()) -> Callable[..., Any]:
    """The rule of an op that works on each part of a batch (n, ...) alone: leading axis and batch are one.

    tensors: numbers of the arguments that are such batches, which must have the leading axis, as the others must not. shapes: parameters
    that are shapes of such a batch.
    """

    def rule(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Any:
        if any(h is not (i in tensors) for i, h in enumerate(has)):
            return None
        n = args[tensors[0]].shape[1]
        merged = [reshape(a, shape=(size * n, *a.shape[2:])) if h else a for a, h in zip(args, has)]
        out = op(*merged, **{k: (size * p[0], *p[1:]) if k in shapes else p for k, p in params.items()})
        several = out if type(out) is tuple else (out,)
        parted = tuple(reshape(o, shape=(size, n, *o.shape[1:])) for o in several)
        return parted if type(out) is tuple else parted[0]

    return rule
