"""Gradient accumulation: one update in several steps, with the mean of their gradients."""

from mlkit import ops


def keep_where(condition, variables, update):
    """Run `update()`, and give the variables their former values again where the scalar `condition` is false.

    It takes the place of a branch, so that it works on a condition that is only known when a traced step runs.
    """
    before = [v.value for v in variables]
    update()
    for v, old in zip(variables, before):
        v.assign(ops.where(condition, v, old))


class GradientAccumulation:
    """The part of `Optimizer` for `gradient_accumulation_steps`."""

    def _due(self):
        return ops.equal((self._iterations + 1) % self.gradient_accumulation_steps, 0)

    def _accumulate(self, grads, variables):
        """Add up gradients; with the last of `gradient_accumulation_steps` update by their mean."""
        sums = [self.slot(v, "gradient_accumulator") for v in variables]
        totals = [s + g for s, g in zip(sums, grads)]
        means = [t / self.gradient_accumulation_steps for t in totals]
        due = self._due()
        keep_where(due, [*variables, *self._rule_state()], lambda: self._update(means, variables))
        for s, total in zip(sums, totals):
            s.assign(ops.where(due, 0.0, total))

    def _rule_state(self):
        """The own variables that an update may change."""
        fixed = [self._iterations, self._learning_rate]
        fixed += [s.get(k) for s in self._slots.values() for k in ("average", "gradient_accumulator")]
        fixed = set(map(id, fixed))
        return [v for v in self.variables if id(v) not in fixed]

    def _overwrite(self, variable, gradient):
        """For variables that ask to be set to their "gradient", such as the scales of float8; of several the largest."""
        if not self.gradient_accumulation_steps:
            variable.assign(gradient)
            return
        largest = self.slot(variable, "gradient_accumulator")
        total, due = ops.maximum(gradient, largest), self._due()
        variable.assign(ops.where(due, total, variable))
        largest.assign(ops.where(due, 0.0, total))
