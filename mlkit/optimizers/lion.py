"""Lion: steps of one size, in the direction of the sign of a moving average."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options


class Lion(Optimizer):
    """``w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, with m the moving average of gradients by beta_2.

    Needs a learning rate 3 to 10 times smaller than Adam's. Further arguments: those of `Optimizer`.
    Chen et al. 2023, https://arxiv.org/abs/2302.06675.

    Args:
        beta_1: weight of the average in the step's sign.
        beta_2: how much of the average stays each time.
    """

    @common_options
    def __init__(self, learning_rate: LearningRate = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **options: Any):
        super().__init__(learning_rate, **options)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion: `beta_1` must be in (0, 1] (at 0 it would be sign descent), but got {beta_1!r}.")
        self.beta_1, self.beta_2 = beta_1, beta_2

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, momentum="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        m = self.slot(variable, "momentum")
        variable.assign_sub(learning_rate * ops.sign(m * self.beta_1 + gradient * (1.0 - self.beta_1)))
        m.assign(m * self.beta_2 + gradient * (1.0 - self.beta_2))
