"""Prefixes of a sequence under an associative function."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.spec import Dim, normalize_axis, same_size
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, Structure
from mlkit.ops.control.structures import check_callable, restore, show_specs, tensors_of
from mlkit.primitives.movement import concat, flip, slice_along
from mlkit.primitives.shape import reshape


def associative_scan(f: Callable[..., Any], elems: Structure, reverse: bool = False, axis: Axis = 0) -> Structure:
    """All prefixes of `elems` along an axis, combined by an associative function: y[i] = f(y[i-1], x[i]).

    Args:
        f: function of two structures like `elems`, which works on many elements at once.
        elems: tensor, or a structure of tensors of equal size along `axis`.
        reverse: whether suffixes are combined in place of prefixes.
        axis: the axis that is gone along.

    The number of its calls grows with the logarithm of the length. Blelloch, "Prefix sums and their applications",
    CMU-CS-90-190 (1990).

    >>> from mlkit import ops
    >>> ops.associative_scan(lambda a, b: a + b, ops.array([1, 2, 3, 4])).tolist()
    [1, 3, 6, 10]
    """
    check_callable("associative_scan", "f", f)
    xs = tensors_of(elems)
    axis = normalize_axis("associative_scan", axis, xs[0].ndim)
    n = xs[0].shape[axis]
    if any(not same_size(x.shape[axis], n) for x in xs):
        raise ValueError(
            f"associative_scan: the first dimension to combine (axis {axis}) must be equal in all, got {show_specs(elems)}."
        )
    if type(n) is Dim:
        _combine(f, elems, xs, xs)
        return restore(elems, [Tensor(x.spec) for x in xs])
    forward = [flip(x, axes=(axis,)) for x in xs] if reverse else xs
    out = _prefixes(lambda a, b: _combine(f, elems, a, b), forward, axis)
    return restore(elems, [flip(x, axes=(axis,)) for x in out] if reverse else out)


def _combine(f: Callable[..., Any], like: Structure, a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """f on two lists of tensors in the form of `like`; a list."""
    return tensors_of(f(restore(like, a), restore(like, b)))


def _prefixes(f: Callable[..., Any], xs: Structure, axis: int) -> list[Tensor]:
    """Combine neighbours, find the prefixes of the half as many pairs, and fill in those between."""
    n = xs[0].shape[axis]
    if n < 2:
        return xs

    def part(x: Tensor, start: int, stop: int, stride: int = 1) -> Tensor:
        return slice_along(x, axis, start, stop, stride)

    pairs = f([part(x, 0, n - 1, 2) for x in xs], [part(x, 1, n, 2) for x in xs])
    odd = _prefixes(f, pairs, axis)
    m = odd[0].shape[axis]
    first = [part(x, 0, 1) for x in xs]
    if n > 2:
        before = [part(x, 0, m - 1 + n % 2) for x in odd]
        even = f(before, [part(x, 2, n, 2) for x in xs])
        even = [concat(a, b, axis=axis) for a, b in zip(first, even)]
    else:
        even = first
    return [_interleave(a, b, axis) for a, b in zip(even, odd)]


def _interleave(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """even[0], odd[0], even[1], ...: `even` has as many elements as `odd` or one more."""
    n, m = even.shape[axis], odd.shape[axis]
    rest = None
    if n > m:
        even, rest = slice_along(even, axis, 0, m), slice_along(even, axis, m, n)
    wide = (*even.shape[: axis + 1], 1, *even.shape[axis + 1 :])
    both = concat(reshape(even, shape=wide), reshape(odd, shape=wide), axis=axis + 1)
    both = reshape(both, shape=(*even.shape[:axis], 2 * m, *even.shape[axis + 1 :]))
    return both if rest is None else concat(both, rest, axis=axis)
