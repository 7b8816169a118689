"""Adafactor: second moments of a matrix kept as one row and one column."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.optimizer import Optimizer, common_options
from mlkit.optimizers.state import is_overwritten


class Adafactor(Optimizer):
    """Steps relative to the size of the weights, by second moments that for matrices take rows + columns numbers.

    Args:
        beta_2_decay: the average's weight of the past is ``1 - step ** beta_2_decay``.
        epsilon_1: added to squared gradients.
        epsilon_2: least size of a weight tensor that steps are relative to.
        clip_threshold: largest root mean square of a step before scaling.
        relative_step: kept in configs; the rate is at most ``1 / sqrt(step)`` either way, as in Keras.

    Further arguments: those of `Optimizer`. Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def build_slots(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            if is_overwritten(v):
                continue
            if len(v.shape) >= 2:
                self._state.add_slot(v, "row", "zeros", v.shape[:-1])
                self._state.add_slot(v, "column", "zeros", v.shape[:-2] + v.shape[-1:])
            else:  # unused, but in Keras's files
                self._state.add_slot(v, "row", "zeros", (), "int32")
                self._state.add_slot(v, "column", "zeros", (), "int32")
            self.add_slots([v], velocity="zeros")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        step = self.step_number(variable)
        keep = 1 - ops.power(step, self.beta_2_decay)
        square = ops.square(gradient) + self.epsilon_1
        velocity = self.slot(variable, "velocity")
        if len(variable.shape) >= 2:
            row, column = self.slot(variable, "row"), self.slot(variable, "column")
            row.assign(keep * row + (1 - keep) * ops.mean(square, axis=-1))
            column.assign(keep * column + (1 - keep) * ops.mean(square, axis=-2))
            share = row / ops.mean(row, axis=-1, keepdims=True)
            velocity.assign(ops.expand_dims(share, -1) * ops.expand_dims(column, -2))
        else:
            velocity.assign(keep * velocity + (1 - keep) * square)
        direction = gradient / ops.sqrt(velocity)
        direction = direction / ops.maximum(_rms(direction) / self.clip_threshold, 1.0)
        rate = ops.minimum(learning_rate, 1 / ops.sqrt(step))
        variable.assign_sub(ops.maximum(_rms(variable), self.epsilon_2) * rate * direction)


def _rms(x: Tensor):
    """Root mean square of all elements."""
    return ops.sqrt(ops.mean(ops.square(x)))
