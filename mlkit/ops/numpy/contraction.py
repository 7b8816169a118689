"""einsum: sums of products in Einstein's notation, operand by operand, each step one `matmul` where it can be."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mlkit.core.spec import Size, is_known, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.ops.numpy.matrices import diagonal
from mlkit.ops.numpy.reductions import sum as sum_over
from mlkit.ops.numpy.shaping import moveaxis, permuted, reshape
from mlkit.primitives import elementwise as el
from mlkit.primitives import linear
from mlkit.primitives.convert import promote_tensors

__all__ = ["einsum"]


def einsum(subscripts: str, *operands, **kwargs) -> Tensor:
    """The sum of products that the subscripts describe.

    Args:
        subscripts: for each operand a letter for each axis, separated by commas, then "->" and the letters of the result;
            letters missing there are summed over. "..." stands for axes that broadcast. Without "->" the letters that occur
            once are kept.

    >>> einsum("ij,jk->ik", [[1.0, 2.0]], [[3.0], [4.0]]).numpy()
    array([[11.]], dtype=float32)
    """
    if kwargs:
        raise NotImplementedError(f"einsum: unknown arguments {sorted(kwargs)}.")
    int8 = all(getattr(x, "dtype", None) == "int8" for x in operands)
    xs = promote_tensors(*operands)
    if int8:
        xs = [el.cast(x, dtype="int32") for x in xs]
    inputs, output = parse(subscripts, [x.shape for x in xs])
    terms = [_without_repeats(x, labels) for x, labels in zip(xs, inputs)]
    while len(terms) > 1:
        i, j = _cheapest(terms)
        first, second = terms.pop(i), terms.pop(j - 1)
        needed = set(output).union(*(labels for _, labels in terms))
        terms.append(_product(first, second, needed))
    x, labels = _summed(*terms[0], set(output))
    return permuted(x, tuple(map(labels.index, output)))


def parse(subscripts: str, shapes: Sequence[Sequence[Size]]) -> tuple[list[list[Any]], list[Any]]:
    """Labels of each operand's axes, and of the result's. "..." becomes labels ("...", i) counted from the last."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} describes {len(parts)} operands, but {len(shapes)} were given.")
    inputs = [_labels(part, len(shape), subscripts, shape) for part, shape in zip(parts, shapes)]
    dots = sorted({label for labels in inputs for label in labels if type(label) is tuple}, reverse=True)
    everything = list(itertools.chain(*inputs))
    if arrow:
        before, ellipsis, after = right.partition("...")
        output = [*before, *(dots if ellipsis else ()), *after]
    else:
        output = dots + sorted(label for label in set(everything) if type(label) is str and everything.count(label) == 1)
    wrong = [label for label in output if label not in everything or output.count(label) > 1]
    if wrong:
        raise ValueError(
            f"einsum: {subscripts!r} has {wrong[0]!r} in the result, where it must stand once and be an operand's label."
        )
    _check_sizes(subscripts, inputs, shapes)
    return inputs, output


def _labels(part: str, rank: int, subscripts: str, shape: Sequence[Size]) -> list[Any]:
    before, ellipsis, after = part.partition("...")
    free = rank - len(before) - len(after)
    if free < 0 or (free and not ellipsis):
        raise ValueError(f"einsum: {part!r} in {subscripts!r} does not fit an operand of {rank} axes, shape {show(shape)}.")
    return [*before, *(("...", i) for i in range(free, 0, -1)), *after]


def _check_sizes(subscripts: str, inputs: Sequence[Sequence[Any]], shapes: Sequence[Sequence[Size]]) -> None:
    sizes = {}
    for labels, shape in zip(inputs, shapes):
        for label, n in zip(labels, shape):
            old = sizes.get(label, 1)
            if n != 1 and old != 1 and not same_size(n, old):
                raise ValueError(
                    f"einsum: {label!r} in {subscripts!r} has sizes {old} and {n}. The operands have shapes "
                    f"{', '.join(str(show(s)) for s in shapes)}."
                )
            sizes[label] = n if old == 1 else old


def _without_repeats(x: Tensor, labels: Sequence[Any]) -> tuple[Tensor, list[Any]]:
    """A label that an operand has twice means the diagonal."""
    labels = list(labels)
    for label in set(labels):
        while labels.count(label) > 1:
            a = labels.index(label)
            b = labels.index(label, a + 1)
            x = moveaxis(diagonal(x, axis1=a, axis2=b), -1, 0)
            labels = [label] + [one for i, one in enumerate(labels) if i not in (a, b)]
    return x, labels


def _cheapest(terms: Sequence[tuple[Tensor, list[Any]]]) -> tuple[int, ...]:
    """The two operands whose product is smallest; unknown sizes count as 100."""

    def cost(pair: tuple[int, ...]) -> int:
        (x, first), (y, second) = (terms[i] for i in pair)
        sizes = {**dict(zip(second, y.shape)), **dict(zip(first, x.shape))}
        return size_of(n if is_known(n) else 100 for n in sizes.values())

    return min(itertools.combinations(range(len(terms)), 2), key=cost)


def _summed(x: Tensor, labels: list[Any], needed: Collection[Any]) -> tuple[Tensor, list[Any]]:
    axes = tuple(i for i, label in enumerate(labels) if label not in needed)
    return (sum_over(x, axes) if axes else x), [label for label in labels if label in needed]


def _squeezed(x: Tensor, labels: list[Any], other: Mapping[Any, Size]) -> tuple[Tensor, list[Any]]:
    """Without axes of size 1 that the other operand has in full: they broadcast."""
    kept = [i for i, label in enumerate(labels) if not (x.shape[i] == 1 and other.get(label, 1) != 1)]
    return reshape(x, tuple(x.shape[i] for i in kept)), [labels[i] for i in kept]


def _product(
    first: tuple[Tensor, list[Any]], second: tuple[Tensor, list[Any]], needed: Collection[Any]
) -> tuple[Tensor, list[Any]]:
    """Two operands multiplied and summed over all labels that nothing else needs."""
    sizes = [dict(zip(labels, x.shape)) for x, labels in (first, second)]
    (x, a), (y, b) = _squeezed(*first, sizes[1]), _squeezed(*second, sizes[0])
    x, a = _summed(x, a, needed.union(b))
    y, b = _summed(y, b, needed.union(a))
    batch = [label for label in a if label in b and label in needed]
    depth = [label for label in a if label in b and label not in needed]
    rows = [label for label in a if label not in b]
    columns = [label for label in b if label not in a]
    size = {**dict(zip(b, y.shape)), **dict(zip(a, x.shape))}

    def matrix(t: Tensor, labels: list[Any], *groups: Sequence[Any]) -> Tensor:
        t = permuted(t, tuple(labels.index(label) for group in groups for label in group))
        return reshape(t, (*(size[label] for label in batch), *(size_of([size[label] for label in g]) for g in groups[1:])))

    out = batch + rows + columns
    if depth:
        z = linear.matmul(matrix(x, a, batch, rows, depth), matrix(y, b, batch, depth, columns))
    else:
        z = el.mul(matrix(x, a, batch, rows, ()), matrix(y, b, batch, (), columns))
    return reshape(z, tuple(size[label] for label in out)), out
