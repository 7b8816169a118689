"""Steps along the first axis of tensors, with or without a state that is carried from one to the next."""

from collections.abc import Callable
from typing import Any

from mlkit.core import tree
from mlkit.core.body_trace import trace_body
from mlkit.core.spec import Size, Spec, same_size, whole
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.ops.control.structures import (
    as_tensors,
    body_tensors,
    check_callable,
    check_same,
    is_symbolic,
    merged,
    restore,
    show_specs,
    specs_of,
    tensors_of,
)
from mlkit.ops.mapping import vmap
from mlkit.ops.numpy import stack
from mlkit.primitives.control import scan_op
from mlkit.primitives.movement import element, full


def scan(
    f: Callable[..., Any],
    init: Structure,
    xs: Structure = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Structure, Structure]:
    """Run ``carry, y = f(carry, x)`` over the slices x of `xs` along axis 0.

    Args:
        init: the first carry.
        xs: tensor, structure of tensors or None.
        length: number of steps, needed if xs is None.
        reverse: from the last slice to the first (the ys stay in the slices' order).
        unroll: True, or a number not below the length, stages every step of its own, which suits short scans; other values have
            the steps run in a loop.
        f: function (carry, x) -> (carry, y); the carry keeps its structure, shapes and dtypes.

    Returns (last carry, stacked ys).

    >>> from mlkit import ops
    >>> total, sums = ops.scan(lambda c, x: (c + x, c + x), 0.0, ops.array([1.0, 2.0, 3.0]))
    >>> float(total), sums.tolist()
    (6.0, [1.0, 3.0, 6.0])
    """
    check_callable("scan", "f", f)
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"scan: `unroll` must be an positive integer or boolean. Received: unroll={unroll}")
    init = as_tensors(init)
    steps = tensors_of(xs)
    if not steps and length is None:
        raise ValueError("scan: got no `xs` to scan over and `length` not provided.")
    length = None if length is None else whole("scan", "`length`", length, least=0)
    n: Any = steps[0].shape[0] if steps else length
    if any(not same_size(t.shape[0], n) for t in steps) or (length is not None and not same_size(n, length)):
        raise ValueError(
            f"scan: all `xs` must have the same first size and `length` be that, but got {show_specs(xs)}, length={length}."
        )

    def one(carry: Structure, x: Structure) -> tuple[Structure, ...]:
        out = f(carry, x)
        if not isinstance(out, (tuple, list)) or len(out) != 2:
            raise ValueError(f"scan: `f` must return a pair (carry, y), but returned {out!r}.")
        check_same("scan", "the carry before and after a step", carry, out[0])
        return tuple(out)

    if is_symbolic([*tensors_of(init), *steps]):
        return _symbolic_scan(one, init, xs, n)
    if state.top.trace is None or unroll is True or (unroll is not False and unroll > 1 and unroll >= n):
        return _unrolled_scan(one, init, xs, n, reverse)
    return _staged_scan(one, init, xs, n, reverse)


def _symbolic_scan(one: Callable[..., Any], init: Structure, xs: Structure, n: Size) -> tuple[Structure, Structure]:
    slices = [Tensor(Spec(t.shape[1:], t.dtype)) for t in tensors_of(xs)]
    carry, y = one(init, restore(xs, slices))
    return merged(init, carry), restore(y, [Tensor(Spec((n, *t.shape), t.dtype)) for t in tensors_of(y)])


def _unrolled_scan(
    one: Callable[..., Any], init: Structure, xs: Structure, n: int, reverse: bool
) -> tuple[Structure, Structure]:
    if n == 0:  # nothing runs, but the form of the ys must be known
        _, y = _symbolic_scan(one, tree.map_structure(lambda t: None if t is None else Tensor(t.spec), init), xs, 0)
        return init, tree.map_structure(lambda t: None if t is None else full(shape=t.shape, value=0, dtype=t.dtype), y)
    steps, carry, ys = tensors_of(xs), init, []
    for i in range(n - 1, -1, -1) if reverse else range(n):
        carry, y = one(carry, restore(xs, [element(x, i) for x in steps]))
        carry = as_tensors(carry)
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, tree.map_structure(lambda *parts: None if parts[0] is None else stack(parts), *ys)


def _staged_scan(
    one: Callable[..., Any], init: Structure, xs: Structure, n: Size, reverse: bool
) -> tuple[Structure, Structure]:
    steps, start = tensors_of(xs), tensors_of(init)
    slices = [Spec(t.shape[1:], t.dtype) for t in steps]

    def body(*tensors: Tensor) -> tuple[Structure, Structure]:
        return one(restore(init, tensors[len(steps) :]), restore(xs, tensors[: len(steps)]))

    trace = trace_body(body, [*slices, *specs_of(start)])
    carry, y = trace.out
    written = list(trace.writes)
    after = body_tensors(trace)
    outputs = [*after[: len(start)], *[trace.read(v) for v in written], *after[len(start) :]]
    extra = trace.close(outputs, carried=written)
    found = scan_op(
        *steps, *start, *(v.tracked_value() for v in written), *extra,
        body=trace.graph, xs=len(steps), carry=len(start) + len(written), length=n, reverse=bool(reverse),
        save=bool(state.top.tapes),
    )  # fmt: skip
    k = len(start)
    for v, t in zip(written, found[k:]):
        state.top.write(v, t)
    return restore(carry, found[:k]), restore(y, found[k + len(written) :])


def map(f: Callable[..., Any], xs: Structure) -> Structure:
    """The results of `f` for each slice of `xs` along axis 0, stacked.

    Args:
        xs: tensor or structure of tensors with equal first sizes; f gets their slices in the same structure.
        f: function of one slice.

    >>> from mlkit import ops
    >>> ops.map(lambda x: x * x, ops.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 4.0, 9.0]
    """
    check_callable("map", "f", f)
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


def vectorized_map(function: Callable[..., Any], elements: Structure) -> Structure:
    """`map` for a function whose calls are independent of each other: all are made at once, see `mlkit.vmap`.

    Args:
        function: of one slice along axis 0.
        elements: tensor (n, ...), or a structure of them.

    >>> from mlkit import ops
    >>> ops.vectorized_map(lambda x: x + 1.0, ops.array([1.0, 2.0])).tolist()
    [2.0, 3.0]
    """
    check_callable("vectorized_map", "function", function)
    return vmap(function)(elements)
