"""What an optimizer remembers: its variables, and which of them are slots of which weight."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlkit import initializers
from mlkit.core import names
from mlkit.core.typing import DType, Identifier, Shape, TensorLike
from mlkit.objects.variable import Variable


class OptimizerState:
    """The variables of an optimizer.

    name: the optimizer's, in which variables are named. weights: the variables it is built for. numbers: each of them -> its position.
    """

    def __init__(self, name: str):
        self.name = name
        self.weights: list[Variable] = []
        self.numbers: dict[Variable, int] = {}
        self._own: dict[Variable, None] = {}  # a set in the order in which they are saved
        self._slots: dict[Variable | None, dict[str, Variable]] = {}  # weight (None: all of them) -> {name: its slot}

    @property
    def variables(self) -> list[Variable]:
        """All of them, in the order in which they are saved."""
        return list(self._own)

    def keep(self, variable: Variable) -> None:
        """Count a variable among the optimizer's own, behind the others if it is not there yet."""
        self._own.setdefault(variable)

    def drop(self, variable: Variable) -> None:
        """Count it no longer."""
        del self._own[variable]

    def begin(self, weights: Sequence[Variable]) -> None:
        """Note the weights that slots are about to be added for. Those that are there come again, in the new order."""
        for slots in self._slots.values():
            for slot in slots.values():
                self._own.pop(slot, None)
        self.weights = list(weights)
        self.numbers = {v: i for i, v in enumerate(weights)}

    def add(
        self,
        shape: Shape,
        initializer: Identifier,
        dtype: DType | None,
        aggregation: str | None = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new Variable, saved with the optimizer and not trained."""
        with names.name_scope(self.name):
            variable = Variable(
                initializers.get(initializer), shape, dtype, False, aggregation=aggregation, layout=layout, name=name
            )
        self.keep(variable)
        return variable

    def add_like(self, weight: Variable, name: str, initializer: Identifier) -> Variable:
        """A new Variable of the shape and dtype of a weight."""
        layout = _layout_like(weight, weight.shape)
        return self.add(weight.shape, initializer, weight.dtype, layout=layout, name=slot_name(weight, name))

    def add_slots(self, weights: Sequence[Variable], initial: Mapping[str, Identifier]) -> None:
        """For each weight a slot of its shape and dtype by each name. initial: name -> initializer."""
        for weight in weights:
            if not is_overwritten(weight):
                for name, initializer in initial.items():
                    self.add_slot(weight, name, initializer)

    def add_slot(
        self, owner: Variable | None, name: str, initializer: Identifier, shape: Shape | None = None, dtype: DType | None = None
    ) -> Variable:
        """The slot of a weight (or, with owner None, of the optimizer), made if it is not there yet."""
        slots = self._slots.setdefault(owner, {})
        if name not in slots:
            layout = None
            if owner is not None:
                shape, dtype = owner.shape if shape is None else shape, dtype or owner.dtype
                layout = _layout_like(owner, shape)
            full_name = name if owner is None else slot_name(owner, name)
            slots[name] = self.add(shape, initializer, dtype, layout=layout, name=full_name)
        self.keep(slots[name])
        return slots[name]

    def slot(self, weight: Variable, name: str) -> Variable:
        """The slot that was made for a weight."""
        return self._slots[weight][name]

    def slots_named(self, *wanted: str) -> list[Variable]:
        """The slots of these names, of all weights."""
        return [slots[name] for slots in self._slots.values() for name in wanted if name in slots]


def assign_all(owner: str, variables: Sequence[Variable], values: Sequence[TensorLike]) -> None:
    """Assign all variables of an optimizer or, where one value does not fit, none. owner: its name, for messages."""
    if len(values) != len(variables):
        raise ValueError(f"Optimizer {owner!r} has {len(variables)} variables, but got {len(values)} values.")
    for i, (v, value) in enumerate(zip(variables, values)):
        if tuple(v.shape) != tuple(value.shape):
            raise ValueError(
                f"Optimizer variable {i}, {v.path!r}, has shape {v.shape}, but its new value has {tuple(value.shape)}."
            )
    for v, value in zip(variables, values):
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
