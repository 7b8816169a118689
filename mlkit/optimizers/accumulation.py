"""Gradient accumulation: one update in several steps, with the mean of their gradients."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.objects.variable import Variable


def keep_where(condition: Any, variables: Sequence[Variable], update: Any) -> None:
    """Run `update()`, and give the variables their former values again where the scalar `condition` is false.

    It takes the place of a branch, so that it works on a condition that is only known when a traced step runs.
    """
    before = [v.value for v in variables]
    update()
    for v, old in zip(variables, before):
        v.assign(ops.where(condition, v, old))


def accumulate(optimizer: Any, due: Any, grads: Sequence[Tensor | None], variables: Sequence[Variable], update: Any) -> None:
    """Add up gradients in the optimizer's slots; where the scalar `due` is true call ``update(means, variables)``."""
    sums = [optimizer.slot(v, "gradient_accumulator") for v in variables]
    totals = [s + g for s, g in zip(sums, grads)]
    means = [t / optimizer.gradient_accumulation_steps for t in totals]
    keep_where(due, [*variables, *_changed_by_updates(optimizer)], lambda: update(means, variables))
    for s, total in zip(sums, totals):
        s.assign(ops.where(due, 0.0, total))


def _changed_by_updates(optimizer: Any):
    """The optimizer's variables that an update may change: all but its counter, its rate, the sums and the averages."""
    fixed = [optimizer._iterations, optimizer._learning_rate]
    fixed += optimizer._state.slots_named("average", "gradient_accumulator")
    fixed = set(map(id, fixed))
    return [v for v in optimizer.variables if id(v) not in fixed]


def overwrite(optimizer: Any, due: Any, variable: Variable, gradient: Tensor) -> None:
    """Set a variable that asks for it, such as a scale of float8, to its "gradient": where `due`, to the largest since then."""
    largest = optimizer.slot(variable, "gradient_accumulator")
    total = ops.maximum(gradient, largest)
    variable.assign(ops.where(due, total, variable))
    largest.assign(ops.where(due, 0.0, total))
