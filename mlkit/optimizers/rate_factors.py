"""Learning rates of their own for some weights, as factors on the optimizer's."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

from mlkit.objects.variable import Variable


@dataclasses.dataclass
class RateFactors:
    """Factors on the learning rate. given: a dict Variable -> factor, a function of the variable, or None for 1 everywhere."""

    given: dict | Callable | None = None

    def __post_init__(self) -> None:
        if self.given is None or callable(self.given):
            return
        if not isinstance(self.given, dict):
            raise TypeError(f"`rate_factors` must be a dict from Variable to number, a function or None, not {self.given!r}.")
        for variable, factor in self.given.items():
            _check(factor, variable)
        self.given = dict(self.given)

    def rate_of(self, variable: Variable, learning_rate: Any) -> Any:
        """The learning rate of a variable."""
        if self.given is None:
            return learning_rate
        factor = _check(self.given(variable), variable) if callable(self.given) else self.given.get(variable, 1.0)
        return learning_rate if factor == 1 else learning_rate * factor


def _check(factor, variable: Variable):
    if isinstance(factor, bool) or not isinstance(factor, numbers.Real) or not factor >= 0:
        raise ValueError(f"`rate_factors`: the factor of {variable.path!r} must be a number >= 0, but is {factor!r}.")
    return factor
