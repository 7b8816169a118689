"""Moving averages of the weights, which often generalize better than the weights themselves."""

from mlkit import ops
from mlkit.optimizers.state import is_overwritten


class MovingAverages:
    """The part of `Optimizer` for `use_ema`. Polyak & Juditsky 1992, https://doi.org/10.1137/0330046."""

    def _update_averages(self):
        updates = self.iterations
        momentum = ops.where(ops.equal(updates, 0), 0.0, self.ema_momentum)  # the first average is the weight itself
        for v, average in self._averages():
            m = ops.cast(momentum, v.dtype)
            average.assign(m * average + (1 - m) * v)
            if self.ema_overwrite_frequency:
                due = ops.equal((updates + 1) % self.ema_overwrite_frequency, 0)
                v.assign(ops.where(due, average, v))

    def _averages(self):
        return [(v, self.slot(v, "average")) for v in self._trainable_variables if not is_overwritten(v)]

    @property
    def moving_averages(self):
        """The moving averages of the weights (`use_ema`), in the order of the variables; None for variables without one."""
        return [self._slots.get(v, {}).get("average") for v in self._trainable_variables]

    def finalize_variable_values(self, var_list):
        """Set the model's variables to their moving averages (`use_ema`); `fit` does it at its end."""
        if self.use_ema:
            known = [v for v, _ in self._averages()]
            if any(all(v is not k for k in known) and not is_overwritten(v) for v in var_list):
                raise ValueError(
                    f"{self.name}: there are no moving averages of these variables. Was the optimizer used on this model?"
                )
            for v in var_list:
                if not is_overwritten(v):
                    v.assign(self.slot(v, "average"))
