"""Adagrad and Adadelta: the rate of each weight falls with the gradients it has seen."""

from collections.abc import Sequence
from typing import Any

from mlkit import initializers, ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options


class Adagrad(Optimizer):
    """``w -= learning_rate * g / sqrt(sum of all g ** 2 + epsilon)``.

    Args:
        initial_accumulator_value: where the sum starts.
        epsilon: against division by 0.

    Further arguments: those of `Optimizer`. Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html.
    """

    @common_options
    def __init__(
        self, learning_rate: LearningRate = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **options: Any
    ):
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, accumulator=initializers.Constant(self.initial_accumulator_value))

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        total = self.slot(variable, "accumulator")
        total.assign_add(ops.square(gradient))
        variable.assign_sub(learning_rate * gradient / ops.sqrt(total + self.epsilon))


class Adadelta(Optimizer):
    """Steps in the units of the weights: the gradient times the ratio of two moving root mean squares, of steps and gradients.

    Args:
        rho: how much of the averages is kept each time.
        epsilon: against division by 0, and the size of the first step.

    Further arguments: those of `Optimizer`. Zeiler 2012, https://arxiv.org/abs/1212.5701 (where the learning rate is 1).
    """

    @common_options
    def __init__(self, learning_rate: LearningRate = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **options: Any):
        super().__init__(learning_rate, **options)
        self.rho, self.epsilon = rho, epsilon

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, accumulated_grad="zeros", accumulated_delta_var="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        squares, step_squares = self.slot(variable, "accumulated_grad"), self.slot(variable, "accumulated_delta_var")
        squares.assign(self.rho * squares + (1 - self.rho) * ops.square(gradient))
        step = ops.sqrt(step_squares + self.epsilon) * gradient / ops.sqrt(squares + self.epsilon)
        step_squares.assign(self.rho * step_squares + (1 - self.rho) * ops.square(step))
        variable.assign_sub(learning_rate * step)
