"""An update of an optimizer as a pure function."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.core.variable import alone
from mlkit.objects.variable import Variable


def applied(
    optimizer: Any,
    weights: Sequence[Variable],
    optimizer_variables: Sequence[TensorLike],
    grads: Sequence[Tensor | None],
    trainable_variables: Sequence[TensorLike],
) -> tuple[list[Tensor], list[Tensor]]:
    """See `Optimizer.stateless_apply`. weights: the variables that the optimizer is built for."""
    own, weights = optimizer.variables, list(weights)
    for what, given, expected in (
        ("optimizer_variables", optimizer_variables, own),
        ("trainable_variables", trainable_variables, weights),
    ):
        if len(given) != len(expected):
            raise ValueError(f"stateless_apply: `{what}` must have {len(expected)} elements, but got {len(given)}.")
    with alone(weights + own):
        before = [v.value for v in weights + own]
        try:
            for v, value in zip(weights + own, [*trainable_variables, *optimizer_variables]):
                v.assign(value)
            optimizer.apply(grads)
            return [v.value for v in weights], [v.value for v in own]
        finally:
            for v, value in zip(weights + own, before):
                v.assign(value)
