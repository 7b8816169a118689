"""What an optimizer remembers: its variables, the slots it keeps for each weight, and their way to files and back."""

import warnings
from collections.abc import Sequence
from typing import Any

from mlkit import initializers
from mlkit.core import locks, names
from mlkit.core.interpreter import outside_trace
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Identifier, Shape, TensorLike
from mlkit.core.variable import alone
from mlkit.objects.config_object import init_signature
from mlkit.objects.variable import Variable


class OptimizerState:
    """The part of `Optimizer` that owns variables."""

    _version = 0

    def _init_state(self):
        self.built = False
        self._trainable_variables = []
        self._indices = {}  # trainable variable -> its position
        self._slots = {}  # trainable variable (None: all of them) -> {name: Variable}

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "_variables" and "_variables" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before it sets `{name}`.")
        super().__setattr__(name, value)
        if isinstance(value, Variable):
            self._variables.setdefault(value)
        elif name == "_learning_rate" or name in init_signature(type(self)).parameters and name != "learning_rate":
            super().__setattr__("_version", self._version + 1)

    @property
    def version(self) -> int:
        """A number that changes with every option assigned: a compiled step is good for one version only."""
        return self._version

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's state, in the order in which it is saved: step counter, learning rate, then what `build` made."""
        return list(self._variables)

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for these trainable variables. If it is built, for those that are new; all others keep theirs."""
        with locks.making:  # another thread may be about it
            if not self.built or any(v not in self._indices for v in variables):
                self._build(variables)

    def _build(self, variables: Sequence[Variable]):
        for slots in self._slots.values():  # they come again, in the new order
            for slot in slots.values():
                self._variables.pop(slot, None)
        self._trainable_variables = list(variables)
        self._indices = {v: i for i, v in enumerate(variables)}
        with outside_trace():
            if self.use_ema:
                self.add_slots(variables, average="zeros")
            if self.gradient_accumulation_steps:
                for v in variables:
                    self._add_slot(v, "gradient_accumulator", "zeros")
            self.build_slots(variables)
        self.built = True

    def build_slots(self, variables: Sequence[Variable]) -> None:
        """Make the state that the update rule needs, with `add_slots`. The order is that of saved files."""

    def add_slots(self, variables: Sequence[Variable], **initial) -> None:
        """For each variable a slot of its shape and dtype by each name: ``add_slots(variables, momentum="zeros")``.

        initial: slot name -> initializer. `slot` finds them again.
        """
        for variable in variables:
            if not is_overwritten(variable):
                for name, initializer in initial.items():
                    self._add_slot(variable, name, initializer)

    def _add_slot(self, owner, name: str, initializer, shape: Shape = None, dtype: DType | None = None):
        """The slot of a variable (or, with owner None, of the optimizer), made if it is not there yet."""
        slots = self._slots.setdefault(owner, {})
        if name not in slots:
            layout = None
            if owner is not None:
                shape, dtype = owner.shape if shape is None else shape, dtype or owner.dtype
                layout = _layout_like(owner, shape)
            full_name = name if owner is None else slot_name(owner, name)
            slots[name] = self.add_variable(shape, initializer, dtype, layout=layout, name=full_name)
        self._variables.setdefault(slots[name])
        return slots[name]

    def slot(self, variable: Variable, name: str) -> Variable:
        """The slot that `add_slots` made for a variable."""
        return self._slots[variable][name]

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
        with names.name_scope(self.name):
            variable = Variable(
                initializers.get(initializer), shape, dtype, False, aggregation=aggregation, layout=layout, name=name
            )
        self._variables.setdefault(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Identifier = "zeros"
    ) -> Variable:
        """A new Variable of the shape and dtype of a model's variable."""
        shape, dtype = reference_variable.shape, reference_variable.dtype
        layout = _layout_like(reference_variable, shape)
        return self.add_variable(shape, initializer, dtype, layout=layout, name=slot_name(reference_variable, name or "var"))

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
        return self._indices[variable]

    # ---- values in and out -----------------------------------------------------------------------------------------------

    def set_weights(self, weights: Sequence[TensorLike]) -> None:
        """Assign all variables of a built optimizer, given values in the order of `variables`."""
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that is not built. "
                "Call optimizer.build(trainable_variables) first."
            )
        self._assign_all(weights)

    def save_own_variables(self, store: Any) -> None:
        """Write the variables into a dict-like `store` under "0", "1" ..."""
        for i, v in enumerate(self.variables):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read the variables from a dict-like `store`. If their number differs nothing is read, with a warning."""
        if len(store.keys()) != len(self.variables):
            unbuilt = "" if self.built else " The optimizer has not been built yet."
            warnings.warn(
                f"Skipping variable loading for optimizer {self.name!r}: it has {len(self.variables)} variables, but "
                f"{len(store.keys())} were saved.{unbuilt}",
                stacklevel=2,
            )
            return
        self._assign_all([store[str(i)] for i in range(len(self.variables))])

    def _assign_all(self, values):
        """Assign all variables or, where one does not fit, none."""
        values, variables = list(values), self.variables
        if len(values) != len(variables):
            raise ValueError(f"Optimizer {self.name!r} has {len(variables)} variables, but got {len(values)} values.")
        for i, (v, value) in enumerate(zip(variables, values)):
            if tuple(v.shape) != tuple(value.shape):
                raise ValueError(
                    f"Optimizer variable {i}, {v.path!r}, has shape {v.shape}, but its new value has {tuple(value.shape)}."
                )
        for v, value in zip(variables, values):
            v.assign(value)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[TensorLike],
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[TensorLike],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One update as a pure function: nothing is assigned.

        optimizer_variables, grads, trainable_variables: lists of tensors, as `variables` and the weights it was built for.
        Returns (new values of the weights, new values of the optimizer's variables).
        """
        if not self.built:
            raise ValueError(f"To call `stateless_apply`, {self.name!r} must be built: optimizer.build(trainable_variables).")
        own, weights = self.variables, list(self._trainable_variables)
        for what, given, expected in (
            ("optimizer_variables", optimizer_variables, own),
            ("trainable_variables", trainable_variables, weights),
        ):
            if len(given) != len(expected):
                raise ValueError(f"stateless_apply: `{what}` must have {len(expected)} elements, but got {len(given)}.")
        with alone(weights + own):
            before = [v.value for v in weights + own]
            try:
                for v, value in zip(weights + own, [*trainable_variables, *optimizer_variables]):
                    v.assign(value)
                self.apply(grads)
                return [v.value for v in weights], [v.value for v in own]
            finally:
                for v, value in zip(weights + own, before):
                    v.assign(value)


def _layout_like(owner: Variable, shape: Shape) -> Any:
    """How the slot of a weight lies: as the weight, if it has its shape; else whole on each device."""
    layout = getattr(owner, "_layout", None)
    return layout if layout is None or tuple(shape) == tuple(owner.shape) else layout.whole(len(shape))


def is_overwritten(variable: Variable) -> bool:
    """Whether a variable is set to its "gradient" instead of being updated by it."""
    return getattr(variable, "overwrite_with_gradient", False)


def slot_name(variable: Variable, name: str) -> str:
    """Name of a weight's slot: its path and the slot's own name."""
    return f"{getattr(variable, 'path', variable.name).replace('/', '_')}_{name}"
