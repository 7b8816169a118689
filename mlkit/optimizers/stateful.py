"""The base of optimizers: the variables that they own, as their users see them."""

import warnings
from collections.abc import Sequence
from typing import Any

from mlkit.core import locks, names
from mlkit.core.interpreter import outside_trace
from mlkit.core.typing import DType, Identifier, Shape, TensorLike
from mlkit.objects.config_object import Configurable, init_signature
from mlkit.objects.variable import Variable
from mlkit.optimizers.state import OptimizerState, assign_all, is_overwritten


class StatefulOptimizer(Configurable):
    """An object with options, some of them Variables, and with slots for the weights that it is built for."""

    def __init__(self, name: str | None = None):
        self._state = OptimizerState(name or names.auto_name(type(self).__name__))
        self.name = self._state.name
        self.built = False

    _version = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "_state" and "_state" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before it sets `{name}`.")
        super().__setattr__(name, value)
        if isinstance(value, Variable):
            self._state.keep(value)
        elif name == "_learning_rate" or (name in init_signature(type(self)).parameters and name != "learning_rate"):
            super().__setattr__("_version", self._version + 1)

    @property
    def version(self) -> int:
        """A number that changes with every option assigned: a compiled step is good for one version only."""
        return self._version

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's state, in the order in which it is saved: step counter, learning rate, then what `build` made."""
        return self._state.variables

    @property
    def _trainable_variables(self):
        return self._state.weights

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for these trainable variables. If it is built, for those that are new; all others keep theirs."""
        with locks.making:  # another thread may be about it
            if self.built and all(v in self._state.numbers for v in variables):
                return
            self._state.begin(variables)
            with outside_trace():
                self._make_slots(variables)
            self.built = True

    def _make_slots(self, variables: Sequence[Variable]) -> None:
        """All slots that the weights get."""
        self.build_slots(variables)

    def build_slots(self, variables: Sequence[Variable]) -> None:
        """Make the state that the update rule needs, with `add_slots`. The order is that of saved files."""

    def add_slots(self, variables: Sequence[Variable], **initial: Any) -> None:
        """For each variable a slot of its shape and dtype by each name: ``add_slots(variables, momentum="zeros")``.

        initial: slot name -> initializer. `slot` finds them again.
        """
        self._state.add_slots(variables, initial)

    def slot(self, variable: Variable, name: str) -> Variable:
        """The slot that `add_slots` made for a variable."""
        return self._state.slot(variable, name)

    def add_variable(
        self,
        shape: Shape,
        initializer: Identifier = "zeros",
        dtype: DType | None = None,
        aggregation: str | None = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A Variable that belongs to the optimizer: saved with it, and not trained. layout: as for `Variable`."""
        return self._state.add(shape, initializer, dtype, aggregation, layout, name)

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Identifier = "zeros"
    ) -> Variable:
        """A new Variable of the shape and dtype of a model's variable."""
        return self._state.add_like(reference_variable, name or "var", initializer)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable] | None, name: str | Sequence[str], initializer: Identifier = "zeros"
    ) -> Any:
        """Lists of new Variables like the model's: one list for a `name`, a tuple of lists for a list of names."""
        every = [name] if isinstance(name, str) else list(name)
        initial = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(every)
        if len(every) != len(initial):
            raise ValueError(f"add_optimizer_variables: {len(every)} names {every}, but {len(initial)} initializers.")
        lists = tuple([] for _ in every)
        for v in trainable_variables:
            for made, n, i in zip(lists, every, initial):
                made.append(None if is_overwritten(v) else self.add_variable_from_reference(v, n, i))
        return lists[0] if isinstance(name, str) else lists

    def _get_variable_index(self, variable: Variable):
        return self._state.numbers[variable]

    def set_weights(self, weights: Sequence[TensorLike]) -> None:
        """Assign all variables of a built optimizer, given values in the order of `variables`."""
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that is not built. "
                "Call optimizer.build(trainable_variables) first."
            )
        assign_all(self.name, self.variables, list(weights))

    def save_own_variables(self, store: Any) -> None:
        """Write the variables into a dict-like `store` under "0", "1" ..."""
        for i, v in enumerate(self.variables):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read the variables from a dict-like `store`. If their number differs nothing is read, with a warning."""
        variables = self.variables
        if len(store.keys()) != len(variables):
            unbuilt = "" if self.built else " The optimizer has not been built yet."
            warnings.warn(
                f"Skipping variable loading for optimizer {self.name!r}: it has {len(variables)} variables, but "
                f"{len(store.keys())} were saved.{unbuilt}",
                stacklevel=2,
            )
            return
        assign_all(self.name, variables, [store[str(i)] for i in range(len(variables))])
