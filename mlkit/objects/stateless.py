"""StatelessScope: variables take other values inside a block, and what is assigned there stays apart."""

from collections.abc import Iterable

from mlkit.core.interpreter import Values
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.objects.variable import Variable
from mlkit.primitives.convert import cast, convert_to_tensor

__all__ = ["StatelessScope"]


class StatelessScope(Values):
    """A block in which given variables have given values, and assignments do not last.

    Args:
        state_mapping: pairs (variable, value). After the block `get_current_value(variable)` tells what was assigned in it, or
            the mapped value, or None.
        collect_losses: also gather the losses added by layers called in it, in `losses`.
        initialize_variables: whether variables made in the block get their first values in it.

    >>> import mlkit
    >>> v = mlkit.Variable(1.0)
    >>> with mlkit.StatelessScope([(v, 5.0)]) as scope:
    ...     _ = v.assign_add(1.0)
    >>> float(scope.get_current_value(v)), float(v.value)
    (6.0, 1.0)
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Variable, TensorLike]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:
        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        self.losses: list[Tensor] = []
        super().__init__({})
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ValueError(f"StatelessScope: expected pairs (Variable, value), but got {variable!r}.")
            t = cast(convert_to_tensor(value), variable._value.dtype)
            if t.shape != variable.shape:
                raise ValueError(
                    f"StatelessScope: variable {variable.path!r} has shape {variable.shape}, but its value has shape {t.shape}."
                )
            self.values[variable] = t

    def add_loss(self, loss: Tensor) -> None:
        self.losses.append(loss)

    def add_update(self, update: tuple[Variable, Tensor]) -> None:
        """Note an assignment: a pair (variable, value)."""
        self.write(*update)

    def get_current_value(self, variable: Variable) -> Tensor | None:
        """What the variable is in the block: assigned or mapped; None if neither."""
        return self.values.get(variable)
