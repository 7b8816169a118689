"""Floating-point operations of calls, as the trait `flops` has them: functions of the specs of arguments and results, and of the
parameters. A multiplication and the addition that follows count as two; an exponential as one."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.spec import Spec


def elements(spec: Any) -> int:
    """Number of elements."""
    return math.prod(spec.shape)


def free(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
    """Of what moves elements and computes nothing."""
    return 0


def each_input(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
    """One for each element of the first argument."""
    return elements(args[0])


def each_update(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
    """One for each element of the last argument."""
    return elements(args[-1])


def passes_of_halving(factor: int) -> Callable[..., Any]:
    """Of what works along the last axis in log2 passes, each `factor` for an element."""

    def flops(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
        return factor * elements(args[0]) * math.ceil(math.log2(max(args[0].shape[-1], 2)))

    return flops


def of_matrices(count: Callable[..., Any]) -> Callable[..., Any]:
    """Of dense linear algebra, for matrices (m, n) and, where there is a second argument, k right-hand sides: ``count(m, n, k)`` each.

    Counts are those of Golub and Van Loan, Matrix Computations, 4th ed., 2013."""

    def flops(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
        *batch, m, n = args[0].shape
        right = args[1].shape[-1] if len(args) > 1 and hasattr(args[1], "shape") and args[1].shape else 0
        return int(math.prod(batch) * count(m, n, right))

    return flops
