"""FTRL: follow the regularized leader."""

from collections.abc import Sequence
from typing import Any

from mlkit import initializers, ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options


class Ftrl(Optimizer):
    """For sparse linear models: each step solves for the weight that would have been best so far, with L1 and L2 penalties.

    Args:
        learning_rate_power: in (-inf, 0]; the rate falls with the accumulated squares to that power, and is constant for 0.
        initial_accumulator_value: where the accumulated squares start.
        l1_regularization_strength, l2_regularization_strength: penalties.
        l2_shrinkage_regularization_strength: a penalty on magnitude only, by the gradient.
        beta: the paper's beta.

    Further arguments: those of `Optimizer`. McMahan et al. 2013, https://research.google.com/pubs/archive/41159.pdf.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: `learning_rate_power` needs to be negative or zero, but got {learning_rate_power!r}.")
        self.learning_rate_power, self.beta = learning_rate_power, beta
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        for name, value in vars(self).items():
            if name.endswith(("_strength", "_accumulator_value")) and value < 0:
                raise ValueError(f"Ftrl: `{name}` needs to be positive or zero, but got {value!r}.")

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, accumulator=initializers.Constant(self.initial_accumulator_value), linear="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        squares, linear = self.slot(variable, "accumulator"), self.slot(variable, "linear")
        new_squares = squares + ops.square(gradient)
        old_power, new_power = (ops.power(s, -self.learning_rate_power) for s in (squares, new_squares))
        shrinking = gradient + 2 * self.l2_shrinkage_regularization_strength * variable
        linear.assign_add(shrinking - (new_power - old_power) / learning_rate * variable)
        curvature = new_power / learning_rate + 2 * (self.l2_regularization_strength + self.beta / (2.0 * learning_rate))
        l1 = self.l1_regularization_strength
        variable.assign((ops.clip(linear, -l1, l1) - linear) / curvature)
        squares.assign(new_squares)
