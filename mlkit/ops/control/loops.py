"""Loops that run until a condition is false, or a number of times."""

import itertools
from collections.abc import Callable
from typing import Any

from mlkit.core.body_trace import trace_body
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure, TensorLike
from mlkit.ops.control.scans import scan
from mlkit.ops.control.structures import (
    as_bool,
    as_tensors,
    body_tensors,
    check_callable,
    check_same,
    finish,
    is_symbolic,
    merged,
    restore,
    specs_of,
    tensors_of,
)
from mlkit.ops.numpy import arange
from mlkit.primitives import elementwise as el
from mlkit.primitives.control import while_op
from mlkit.primitives.convert import as_tensor, cast, to_integer


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Structure, maximum_iterations: int | None = None
) -> Structure:
    """Run `body` as long as `cond` is true.

    Args:
        loop_vars: tuple or list of values, given to both functions as arguments, or one value of any structure, given as one
            argument; `body` returns new values of the same structure, shapes and dtypes.
        maximum_iterations: stop after so many turns at the latest.
        cond: function of the values -> a truth value, shape ().
        body: function of the values -> new values.

    Returns the last values. There is no gradient through a staged loop: use `fori_loop` or `scan` for that.

    >>> from mlkit import ops
    >>> [float(v) for v in ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2.0), (0, 1.0))]
    [3.0, 8.0]
    """
    check_callable("while_loop", "cond", cond)
    check_callable("while_loop", "body", body)
    several = isinstance(loop_vars, (list, tuple))
    values = tuple(loop_vars) if several else (loop_vars,)

    def step(*values: Structure) -> tuple[Structure, ...]:
        out = body(*values)
        out = tuple(out) if several and isinstance(out, (list, tuple)) else (out,)
        check_same("while_loop", "`loop_vars` and what `body` makes of them", values, out)
        return out

    values = as_tensors(values)
    if is_symbolic(tensors_of(values)):
        as_bool("while_loop", cond(*values))
        values = merged(values, step(*values))
    elif not state.top.has_values:
        values = _staged_while(cond, step, values, maximum_iterations)
    else:
        turns = itertools.count() if maximum_iterations is None else range(int(maximum_iterations))
        for _ in turns:
            test = cond(*values)
            if not (test if isinstance(test, (bool, int, float)) else as_bool("while_loop", test)):
                break
            values = as_tensors(step(*values))
    return type(loop_vars)(values) if type(loop_vars) is list else values if several else values[0]


def _staged_while(cond: Callable[..., Any], step: Callable[..., Any], values: Structure, limit: int | None) -> Structure:
    if limit is not None:  # one more value of the state counts the turns
        values = (as_tensor(0, "int32"), *values)
        test_values, run = cond, step

        def cond(turn: Tensor, *vs: Structure) -> Tensor:
            return el.and_(el.less(turn, int(limit)), as_bool("while_loop", test_values(*vs)))

        def step(turn: Tensor, *vs: Structure) -> tuple[Structure, ...]:
            return (turn + 1, *run(*vs))

    def call(fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *tensors: fn(*restore(values, tensors))

    start = tensors_of(values)
    test = trace_body(lambda *tensors: as_bool("while_loop", call(cond)(*tensors)), specs_of(start))
    if test.writes:
        raise ValueError(f"while_loop: `cond` must not assign variables, but assigns {[v.path for v in test.writes]}.")
    body = trace_body(call(step), specs_of(start))
    written = list(body.writes)
    of_test = test.close([test.out], carried=written)
    of_body = body.close([*body_tensors(body), *map(body.read, written)], carried=written)
    begin = [*start, *(v.tracked_value() for v in written)]
    out = while_op(*begin, *of_test, *of_body, test=test.graph, body=body.graph, state=len(begin))
    out = finish(values, out, written)
    return out if limit is None else out[1:]


def fori_loop(lower: TensorLike, upper: TensorLike, body_fun: Callable[..., Any], init_val: Structure) -> Structure:
    """`init_val` after ``value = body_fun(i, value)`` for i from `lower` up to, but without, `upper`.

    Args:
        lower, upper: integers or integer scalars. With Python integers gradients flow through the loop in a traced function
            too.
        body_fun: function (i, value) -> value of the same structure, shapes and dtypes.
        init_val: tensor, or a structure of tensors.

    >>> from mlkit import ops
    >>> float(ops.fori_loop(0, 4, lambda i, x: x + ops.cast(i, "float32"), 0.0))
    6.0
    """
    check_callable("fori_loop", "body_fun", body_fun)
    if isinstance(lower, int) and isinstance(upper, int):
        return scan(lambda v, i: (body_fun(i, v), None), init_val, arange(lower, max(lower, upper), dtype="int32"))[0]
    lower, upper = (to_integer("fori_loop", bound) for bound in (lower, upper))
    return while_loop(
        lambda i, v: el.less(i, upper), lambda i, v: (i + 1, body_fun(i, v)), (cast(lower, upper.dtype), init_val)
    )[1]
