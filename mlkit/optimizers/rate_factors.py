"""Learning rates of their own for some weights, as factors on the optimizer's."""

import numbers


class RateFactors:
    """The part of `Optimizer` about factors on the learning rate."""

    _rate_factors = None

    @property
    def rate_factors(self):
        """Factors on the learning rate: a dict Variable -> factor, or a function of the variable; None for 1 everywhere.

        Whatever the learning rate is (a number, a schedule), weights named here take it times their factor, in their updates
        and their weight decay. A factor is a number >= 0 that is fixed when a step is traced; assign anew to change it.
        `mlkit.finetuning.discriminative_rates` makes factors that fall from the head of a model to its input. They belong to
        the variables of one model, so they are not saved with the optimizer.

        >>> from mlkit import Variable, ops, optimizers
        >>> head, base = Variable([1.0]), Variable([1.0])
        >>> sgd = optimizers.SGD(0.5)
        >>> sgd.rate_factors = {base: 0.1}
        >>> _ = sgd.apply_gradients([(ops.ones((1,)), head), (ops.ones((1,)), base)])
        >>> head.numpy(), base.numpy()
        (array([0.5], dtype=float32), array([0.95], dtype=float32))
        """
        return self._rate_factors

    @rate_factors.setter
    def rate_factors(self, factors):
        if factors is not None and not callable(factors):
            if not isinstance(factors, dict):
                raise TypeError(f"`rate_factors` must be a dict from Variable to number, a function or None, not {factors!r}.")
            for variable, factor in factors.items():
                _check(factor, variable)
            factors = dict(factors)
        self._rate_factors = factors
        self._version += 1  # compiled steps hold the old factors

    def _rate_of(self, variable, learning_rate):
        """The learning rate of a variable."""
        factors = self._rate_factors
        if factors is None:
            return learning_rate
        factor = _check(factors(variable), variable) if callable(factors) else factors.get(variable, 1.0)
        return learning_rate if factor == 1 else learning_rate * factor


def _check(factor, variable):
    if isinstance(factor, bool) or not isinstance(factor, numbers.Real) or not factor >= 0:
        raise ValueError(f"`rate_factors`: the factor of {variable.path!r} must be a number >= 0, but is {factor!r}.")
    return factor
