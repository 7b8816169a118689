"""Branches chosen by a value."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.core.body_trace import trace_body
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure, TensorLike
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.ops.control.structures import as_bool, as_scalar, body_tensors, check_callable, check_same, finish, merged
from mlkit.primitives import elementwise as el
from mlkit.primitives.control import cond_op
from mlkit.primitives.convert import as_tensor, to_integer


def cond(pred: TensorLike, true_fn: Callable[..., Any], false_fn: Callable[..., Any]) -> Structure:
    """`true_fn()` if `pred` is true, else `false_fn()`; only the chosen one runs.

    Args:
        pred: bool or scalar tensor.
        true_fn, false_fn: functions without arguments whose results agree in structure, shapes and dtypes.

    Tensors from outside may be used in them, gradients flow through, and variables assigned in them are assigned only if
    chosen.

    >>> from mlkit import ops
    >>> float(ops.cond(ops.array(3.0) > 2.0, lambda: 1.0, lambda: 0.0))
    1.0
    """
    check_callable("cond", "true_fn", true_fn)
    check_callable("cond", "false_fn", false_fn)
    if not isinstance(pred, (bool, int, float)):
        pred = as_bool("cond", pred)
        if type(pred.data) is Spec:
            yes, no = true_fn(), false_fn()
            check_same("cond", "the results of `true_fn` and `false_fn`", _symbols(yes), _symbols(no))
            return merged(_symbols(yes), _symbols(no))
        if not pred.is_concrete:
            return _staged_cond(pred, true_fn, false_fn)
    return _concrete(true_fn() if pred else false_fn())


def _symbols(structure: Structure) -> Structure:
    """KerasTensors that a closure brought along, as Tensors."""
    return tree.map_structure(lambda x: Tensor(x.spec) if isinstance(x, KerasTensor) else x, structure)


def _concrete(structure: Structure) -> Structure:
    """What a branch returned, arrays as Tensors: the caller may write into an array later."""
    return tree.map_structure(lambda x: as_tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x, structure)


def _staged_cond(pred: Tensor, true_fn: Callable[..., Any], false_fn: Callable[..., Any]) -> Structure:
    yes, no = trace_body(true_fn, ()), trace_body(false_fn, ())
    check_same("cond", "the results of `true_fn` and `false_fn`", yes.out, no.out)
    written = list({**yes.writes, **no.writes})
    extra = [b.close([*body_tensors(b), *map(b.read, written)]) for b in (yes, no)]
    out = cond_op(pred, *extra[0], *extra[1], then=yes.graph, orelse=no.graph)
    return finish(yes.out, out, written)


def switch(index: TensorLike, branches: Sequence[Callable[..., Any]], *operands: Structure) -> Structure:
    """The result of ``branches[index](*operands)``; an index out of range counts as the nearest one.

    Args:
        index: integer scalar.
        branches: functions of the operands whose results agree in structure, shapes and dtypes.

    >>> from mlkit import ops
    >>> float(ops.switch(1, [lambda x: x + 1.0, lambda x: x * 10.0], ops.array(2.0)))
    20.0
    """
    if not branches:
        raise ValueError("switch: `branches` must hold at least one function.")
    for b in branches:
        check_callable("switch", "branches", b)
    index = as_scalar("switch: the index", to_integer("switch", index), "Choose for each element with mlkit.vmap.")
    if type(index.data) is Spec:
        results = [_symbols(b(*operands)) for b in branches]
        for r in results[1:]:
            check_same("switch", "the results of the branches", results[0], r)
        return results[0]
    if index.is_concrete:
        return _concrete(branches[min(max(int(index), 0), len(branches) - 1)](*operands))
    return _switch_among(index, 0, branches, operands)


def _switch_among(index: Tensor, first: int, branches: Sequence[Callable[..., Any]], operands: Sequence[Any]) -> Structure:
    """By halves: the number of decisions is the logarithm of the number of branches."""
    if len(branches) == 1:
        return branches[0](*operands)
    half = len(branches) // 2
    return cond(
        el.less(index, first + half),
        lambda: _switch_among(index, first, branches[:half], operands),
        lambda: _switch_among(index, first + half, branches[half:], operands),
    )
