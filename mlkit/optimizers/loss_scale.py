"""Loss scaling that finds its own scale, for training in float16."""

from collections.abc import Sequence
from typing import Any

from mlkit import initializers, ops
from mlkit.core.tensor import Tensor
from mlkit.objects.config_object import Configurable
from mlkit.objects.variable import Variable
from mlkit.optimizers.accumulation import keep_where
from mlkit.optimizers.optimizer import Optimizer
from mlkit.optimizers.state import is_overwritten

_UNSUPPORTED = {  # option -> its default, which old configs spell out
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class LossScaleOptimizer(Optimizer):
    """Scales the loss up, and gradients down again, as far as float16 allows.

    Where a gradient is not finite the step is left out and the scale halved; after `dynamic_growth_steps` good steps it is
    doubled.

    Args:
        inner_optimizer: the optimizer that updates; all other options are its.
        initial_scale: the first scale.
        dynamic_growth_steps: steps without overflow after which the scale is doubled.

    Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740.
    """

    get_config = Configurable.get_config

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise ValueError("LossScaleOptimizer: for a fixed scale set `loss_scale_factor` on the inner optimizer instead.")
        for option, default in _UNSUPPORTED.items():
            if kwargs.pop(option, default) != default:
                raise ValueError(f"LossScaleOptimizer does not support `{option}`. Instead, set it on the `inner_optimizer`.")
        if kwargs:
            raise ValueError(f"LossScaleOptimizer does not support arguments: `{'`, `'.join(kwargs)}`.")
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(f"LossScaleOptimizer: `inner_optimizer` must be an optimizer, but is {inner_optimizer!r}.")
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale, self.dynamic_growth_steps = initial_scale, dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build_slots(self, variables: Sequence[Variable]) -> None:
        self.step_counter = self._state.add_slot(None, "step_counter", "zeros", (), "int")
        self.dynamic_scale = self._state.add_slot(
            None, "dynamic_scale", initializers.Constant(self.initial_scale), (), "float32"
        )
        self.inner_optimizer.build(variables)

    @property
    def variables(self) -> list[Variable]:
        return super().variables + self.inner_optimizer.variables

    @property
    def version(self) -> int:
        return super().version + self.inner_optimizer.version

    @property
    def iterations(self) -> Variable:
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def rate_factors(self) -> Any:
        """The inner optimizer's factors."""
        return self.inner_optimizer.rate_factors

    @rate_factors.setter
    def rate_factors(self, factors: Any) -> None:
        self.inner_optimizer.rate_factors = factors

    def _apply_checked(self, grads: Sequence[Tensor | None], variables: Sequence[Variable]) -> None:
        """Update variables by the gradients of the scaled loss; leave them if a gradient is not finite."""
        scale, finite = self.dynamic_scale.value, self.check_finite(grads)
        unscaled = [g if g is None or is_overwritten(v) else g / scale for g, v in zip(grads, variables)]
        state = variables + self.inner_optimizer.variables
        keep_where(finite, state, lambda: self.inner_optimizer._apply_checked(unscaled, variables))
        grown = ops.equal(self.step_counter, self.dynamic_growth_steps - 1)
        good_steps = ops.where(grown, 0, self.step_counter + 1)
        self.step_counter.assign(ops.where(finite, good_steps, 0))
        self.dynamic_scale.assign(ops.where(finite, ops.where(grown, scale * 2.0, scale), scale * 0.5))

    def check_finite(self, grads: Sequence[Tensor | None]) -> Tensor:
        """Whether all gradients are free of NaN and Inf: a boolean scalar tensor."""
        finite = [ops.all(ops.isfinite(g)) for g in grads if g is not None]
        return ops.all(ops.stack(finite)) if finite else ops.convert_to_tensor(True)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times the current scale."""
        return ops.multiply(loss, self.dynamic_scale if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)
