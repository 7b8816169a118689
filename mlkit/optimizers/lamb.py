"""LAMB: Adam for large batches."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.adam import update_moments
from mlkit.optimizers.optimizer import Optimizer, common_options


class Lamb(Optimizer):
    """Adam's step, scaled for each weight tensor to the norm of the tensor.

    Args:
        beta_1, beta_2: decay of the moments.
        epsilon: against division by 0.

    Further arguments: those of `Optimizer`. You et al. 2020, https://arxiv.org/abs/1904.00962.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, momentum="zeros", velocity="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        update_moments(m, v, gradient, self.beta_1, self.beta_2)
        step = self.step_number(variable)
        mean, mean_square = m / (1 - ops.power(self.beta_1, step)), v / (1 - ops.power(self.beta_2, step))
        direction = mean / (ops.sqrt(mean_square) + self.epsilon)
        size, norm = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, direction))
        known = ops.logical_and(size > 0, norm > 0)
        ratio = ops.where(known, size / ops.where(known, norm, 1.0), 1.0)
        variable.assign_sub(ratio * learning_rate * direction)
