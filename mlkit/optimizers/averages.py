"""Moving averages of the weights, which often generalize better than the weights themselves."""

from mlkit import ops
from mlkit.optimizers.state import is_overwritten


class MovingAverages:
    """The part of `Optimizer` for `use_ema`. Polyak & Juditsky 1992, https://doi.org/10.1137/0330046."""

    @property
    def moving_averages(self):
        """Pairs (weight, Variable with its moving average); none without `use_ema`, nor for frozen weights."""
        tracked = [v for v in self._trainable_variables if v.trainable and not is_overwritten(v)] if self.use_ema else []
        return [(v, self.slot(v, "average")) for v in tracked]

    def _update_averages(self):
        updates = self.iterations
        momentum = ops.where(ops.equal(updates, 0), 0.0, self.ema_momentum)  # the first average is the weight itself
        for v, average in self.moving_averages:
            m = ops.cast(momentum, v.dtype)
            average.assign(m * average + (1 - m) * v)
            if self.ema_overwrite_frequency:
                due = ops.equal((updates + 1) % self.ema_overwrite_frequency, 0)
                v.assign(ops.where(due, average, v))

    def finalize_variable_values(self, var_list):
        """Set the model's variables to their moving averages, if there are any; `fit` does it at its end."""
        if not self.use_ema or int(self._iterations) == 0:  # before the first step the averages are 0
            return
        averages = dict(self.moving_averages)
        for v in var_list:
            if v.trainable and v not in averages and not is_overwritten(v):
                raise ValueError(f"{self.name} keeps no moving average of {v.path!r}. Was it used to train this model?")
        for v in var_list:
            if v in averages:
                v.assign(averages[v])
