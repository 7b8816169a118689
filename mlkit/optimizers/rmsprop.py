"""RMSprop: gradients divided by their running magnitude."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options
from mlkit.primitives.fused import rmsprop_update


class RMSprop(Optimizer):
    """``w -= learning_rate * g / sqrt(v + epsilon)``, with v the moving average of squared gradients.

    Args:
        rho: how much of the average is kept each time.
        momentum: if not 0, of the steps.
        epsilon: against division by 0.
        centered: divide by the estimated standard deviation instead, that is subtract the squared mean gradient from v.

    Further arguments: those of `Optimizer`. Hinton 2012,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, velocity="zeros")
        if self.momentum > 0:
            self.add_slots(variables, momentum="zeros")
        if self.centered:
            self.add_slots(variables, average_gradient="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        slots = ["velocity", *["momentum"] * (self.momentum > 0), *["average_gradient"] * bool(self.centered)]
        options = dict(rho=self.rho, epsilon=self.epsilon, momentum=self.momentum, centered=self.centered)
        self.update_fused(rmsprop_update, variable, slots, gradient, learning_rate, **options)
