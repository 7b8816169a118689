"""Adam and its closest relatives: AdamW, Adamax, Nadam."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options
from mlkit.primitives.fused import adam_update


def update_moments(m: Any, v: Any, gradient: Tensor, beta_1: float, beta_2: float) -> tuple[Tensor, Tensor]:
    """Move the averages of gradients (m) and of their squares (v) towards those of this step."""
    m.assign_add((gradient - m) * (1 - beta_1))
    v.assign_add((ops.square(gradient) - v) * (1 - beta_2))


def adam_step(m: Any, v: Any, step: Any, learning_rate: Any, beta_1: float, beta_2: float, epsilon: float) -> Tensor:
    """Adam's change of a weight. m, v: the moments. step: number of this update, from 1, a float scalar."""
    return m * unbiased_rate(step, learning_rate, beta_1, beta_2) / (ops.sqrt(v) + epsilon)


def unbiased_rate(step: Any, learning_rate: Any, beta_1: float, beta_2: float) -> Any:
    """The rate that makes up for moments that start at 0. step: as in `adam_step`."""
    return learning_rate * ops.sqrt(1 - ops.power(beta_2, step)) / (1 - ops.power(beta_1, step))


class Adam(Optimizer):
    """Steps by the mean gradient over the root of the mean squared gradient, both of them moving averages.

    Args:
        beta_1, beta_2: how much of the two averages is kept each time.
        epsilon: against division by 0 ("epsilon hat" of the paper).
        amsgrad: divide by the largest mean square so far (Reddi et al. 2018, https://arxiv.org/abs/1904.09237).

    Further arguments: those of `Optimizer`. Kingma & Ba 2015, https://arxiv.org/abs/1412.6980.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.add_slots(variables, momentum="zeros", velocity="zeros")
        if self.amsgrad:
            self.add_slots(variables, velocity_hat="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        slots = ["momentum", "velocity", "velocity_hat"] if self.amsgrad else ["momentum", "velocity"]
        rate = self.once(unbiased_rate, self.step_number(variable), learning_rate, self.beta_1, self.beta_2)
        constants = dict(beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
        self.update_fused(adam_update, variable, slots, gradient, rate, **constants)


class AdamW(Adam):
    """Adam with weight decay that does not pass through the moments. Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101.

    Args:
        weight_decay: weights shrink by ``weight_decay * learning_rate`` each step.

    Other arguments: those of `Adam`.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ):
        if weight_decay is None:
            raise ValueError("AdamW: `weight_decay` must be a float, but got None. Use Adam for no weight decay.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options)


class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root mean square. Kingma & Ba 2015, section 7.1.

    Args:
        beta_1, beta_2: decay of the mean and of the maximum.
        epsilon: against division by 0.

    Further arguments: those of `Optimizer`.
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
        self.add_slots(variables, momentum="zeros", norm="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        m, u = self.slot(variable, "momentum"), self.slot(variable, "norm")
        m.assign_add((gradient - m) * (1 - self.beta_1))
        u.assign(ops.maximum(self.beta_2 * u, ops.abs(gradient)))
        unbias = 1 - ops.power(self.beta_1, self.step_number(variable))
        variable.assign_sub(learning_rate * m / (unbias * (u + self.epsilon)))


class Nadam(Optimizer):
    """Adam with Nesterov momentum: the mean gradient is looked at one step ahead. Dozat 2015, http://cs229.stanford.edu/proj2015/054_report.pdf.

    Args:
        beta_1, beta_2: decay of the moments; beta_1 is warmed up.
        epsilon: against division by 0.

    Further arguments: `Optimizer`'s.
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
        self._u_product = self._state.add_slot(None, "u_product", "ones", (), variables[0].dtype if variables else None)

    def _momentum_at(self, step: Any):
        return self.beta_1 * (1.0 - 0.5 * ops.power(0.96, step))

    def update_all(self, grads: Sequence[Tensor | None], variables: Sequence[Variable], learning_rate: Any) -> None:
        step = self.step_number(self._u_product)
        self._u_product.assign(self._u_product * self._momentum_at(step))  # of all steps, once a step
        super().update_all(grads, variables, learning_rate)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        update_moments(m, v, gradient, self.beta_1, self.beta_2)
        step = self.step_number(variable)
        now, ahead = self._momentum_at(step), self._momentum_at(step + 1)
        product = self._u_product.value
        mean = ahead * m / (1 - product * ahead) + (1 - now) * gradient / (1 - product)
        mean_square = v / (1 - ops.power(self.beta_2, step))
        variable.assign_sub(mean * learning_rate / (ops.sqrt(mean_square) + self.epsilon))
