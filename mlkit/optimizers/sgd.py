"""Stochastic gradient descent."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options
from mlkit.primitives.fused import sgd_update


class SGD(Optimizer):
    """Gradient descent, plain or with momentum: ``w -= learning_rate * g``.

    Args:
        momentum: in [0, 1]; if not 0 the step is the velocity ``v = momentum * v - learning_rate * g``.
        nesterov: look one velocity ahead.

    Further arguments: those of `Optimizer`. Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html.
    """

    @common_options
    def __init__(self, learning_rate: LearningRate = 0.01, momentum: float = 0.0, nesterov: bool = False, **options: Any):
        super().__init__(learning_rate, **options)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: `momentum` must be a float between 0 and 1, but got {momentum!r}.")
        self.momentum, self.nesterov = momentum, nesterov

    def build_slots(self, variables: Sequence[Variable]) -> None:
        if self.momentum:
            self.add_slots(variables, momentum="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        slots = ["momentum"] if self.momentum else []
        options = dict(momentum=self.momentum, nesterov=self.nesterov)
        self.update_fused(sgd_update, variable, slots, gradient, learning_rate, **options)
