"""Schedule-free AdamW: averaging in place of a learning rate schedule."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options


class ScheduleFreeAdamW(Optimizer):
    """Adam steps on a hidden sequence z; the weights are between z and its mean x: ``w = (1 - beta_1) * z + beta_1 * x``.

    Args:
        beta_1: that mixture.
        beta_2: decay of the second moment.
        epsilon: against division by 0.
        warmup_steps: the rate rises linearly over so many steps.

    Further arguments: those of `Optimizer`. Defazio et al. 2024, https://arxiv.org/abs/2405.15682.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    def build_slots(self, variables: Sequence[Variable]) -> None:
        for v in variables:  # z starts at the weights
            self.add_slots([v], momentum=lambda shape, dtype, v=v: v.value, velocity="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        step = self.step_number(variable)
        if self.warmup_steps > 0:
            learning_rate = learning_rate * ops.minimum(step / self.warmup_steps, 1.0)
        z, velocity = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        mean = (variable - (1 - self.beta_1) * z) / self.beta_1  # x, recovered from the mixture
        velocity.assign_add((ops.square(gradient) - velocity) * (1 - self.beta_2))
        scale = ops.sqrt(velocity / (1 - ops.power(self.beta_2, step))) + self.epsilon
        z.assign_sub(learning_rate * gradient / scale)
        mean = (1 - 1 / step) * mean + z / step
        variable.assign((1 - self.beta_1) * z + self.beta_1 * mean)
