"""Functions of scalars or small tensors as functions of arrays of them."""

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from mlkit.core.spec import Size, broadcast, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.ops.numpy.joining import stack
from mlkit.ops.numpy.shaping import broadcast_to, reshape
from mlkit.primitives.convert import as_tensor

__all__ = ["vectorize"]

_LIST = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*\)"


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Collection[int | str] | None = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function that applies `pyfunc` to every element of broadcast arguments and stacks the results.

    Args:
        excluded: positions and names of arguments to pass on whole.
        signature: how many axes of each argument and result belong to one call, such as "(n),(n)->()"; the axes before them are
            looped over.
        pyfunc: function of single elements, or of what `signature` says.

    The calls run one after the other.

    >>> vectorize(lambda a, b: a if a > b else b)([1, 5], 3).numpy()
    array([3, 5], dtype=int32)
    """
    excluded = set() if excluded is None else set(excluded)
    ranks = None if signature is None else _core_ranks(signature)

    def call(*args: Any, **kwargs: Any) -> Structure:
        loops = [i for i in range(len(args)) if i not in excluded]
        names = [k for k in kwargs if k not in excluded]
        xs = [as_tensor(a) for a in (*(args[i] for i in loops), *(kwargs[k] for k in names))]
        if ranks is not None and len(ranks) != len(xs):
            raise TypeError(
                f"vectorize: the signature {signature!r} describes {len(ranks)} arguments, but {len(xs)} were given."
            )
        wide, lead = _aligned(xs, ranks or [0] * len(xs))
        results = []
        for i in range(size_of(lead)):
            values = [x[i] for x in wide]
            inner, named = list(args), dict(kwargs)
            for place, value in zip(itertools.chain(loops, names), values):
                (named if isinstance(place, str) else inner)[place] = value
            results.append(pyfunc(*inner, **named))
        return _stacked(results, lead)

    return call


def _core_ranks(signature: str) -> list[int]:
    """Number of core axes of each argument."""
    if not re.fullmatch(rf"{_LIST}(?:\s*,\s*{_LIST})*\s*->\s*{_LIST}(?:\s*,\s*{_LIST})*", signature.strip()):
        raise ValueError(f"vectorize: {signature!r} is no signature. Expected something like '(n,m),(m)->(n)'.")
    return [len(re.findall(r"\w+", part)) for part in re.findall(_LIST, signature.split("->")[0])]


def _aligned(xs: Sequence[Tensor], ranks: Sequence[int]) -> tuple[tuple[Any, ...], list[Tensor]]:
    """Arguments with the axes to loop over broadcast and made one; and the shape of those axes."""
    for x, r in zip(xs, ranks):
        if len(x.shape) < r:
            raise ValueError(f"vectorize: an argument of shape {show(x.shape)} needs {r} axes or more.")
    cores = [x.shape[len(x.shape) - r :] for x, r in zip(xs, ranks)]
    lead = broadcast("vectorize", *(x.shape[: len(x.shape) - r] for x, r in zip(xs, ranks)))
    return [reshape(broadcast_to(x, (*lead, *core)), (size_of(lead), *core)) for x, core in zip(xs, cores)], lead


def _stacked(results: Sequence[Any], lead: Sequence[Size]) -> Structure:
    if not results:
        raise ValueError(f"vectorize: nothing to loop over: the shape is {show(lead)}.")
    if isinstance(results[0], tuple):
        return tuple(_stacked(list(parts), lead) for parts in zip(*results))
    out = stack([as_tensor(r) for r in results])
    return reshape(out, (*lead, *out.shape[1:]))
