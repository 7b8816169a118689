"""HyperParameters: the space that a model's building asks for, and values in it."""

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from typing import Any, Self

from mlkit.tuner.parameters import Choice, Fixed, Float, Int, Parameter


class HyperParameters:
    """Asked for values while a model is built; it keeps what it was asked for, which is the space of the search.

    One that was asked for before has its value; others get their default, and are searched from the next trial on.

    Attributes:
        space: The parameters, in the order in which they were asked for.
        values: Name -> value, of those that count under their conditions.

    >>> import mlkit
    >>> hp = mlkit.tuner.HyperParameters()
    >>> units = hp.Int("units", 32, 128, step=32)
    >>> rate = hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    >>> hp.values
    {'units': 32, 'rate': 0.001}
    """

    def __init__(self) -> None:
        self.space: list[Parameter] = []
        self.values: dict[str, Any] = {}
        self._scopes: list[tuple[str, tuple[Any, ...]]] = []

    def Int(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = None,
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> int:
        """A whole number from `min_value` to `max_value`, both included.

        Args:
            name: Unique within the search.
            step: Distance of two values; with sampling="log" their ratio.
            sampling: "linear" (the default), "log" or "reverse_log".
            default: Where nothing is chosen; `min_value` unless given.
            parent_name, parent_values: It counts only where that parameter has one of these values; see `conditional_scope`.
        """
        where = self._conditions(name, parent_name, parent_values)
        return self._ask(Int(name, where, min_value, max_value, step, sampling or "linear", default))

    def Float(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = None,
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> float:
        """A number from `min_value` to `max_value`; the arguments are those of `Int`."""
        where = self._conditions(name, parent_name, parent_values)
        return self._ask(Float(name, where, min_value, max_value, step, sampling or "linear", default))

    def Choice(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of some values, of one type: str, int, float or bool.

        Args:
            ordered: Whether neighbours are alike; so it is for numbers unless said otherwise.
        """
        values = tuple(values)
        if ordered is None:
            ordered = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        return self._ask(Choice(name, self._conditions(name, parent_name, parent_values), values, bool(ordered), default))

    def Boolean(self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None) -> bool:
        """True or False."""
        return self._ask(Choice(name, self._conditions(name, parent_name, parent_values), (False, True), False, bool(default)))

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:
        """A value that is not searched, but kept with the others."""
        return self._ask(Fixed(name, self._conditions(name, parent_name, parent_values), value))

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """A block whose parameters count only where another one has one of these values.

        >>> import mlkit
        >>> hp = mlkit.tuner.HyperParameters()
        >>> if hp.Choice("kind", ["mlp", "cnn"]) == "cnn":
        ...     with hp.conditional_scope("kind", ["cnn"]):
        ...         filters = hp.Int("filters", 8, 64)
        >>> hp.values
        {'kind': 'mlp'}
        """
        self._scopes.append(self._condition(parent_name, parent_values))
        try:
            yield
        finally:
            self._scopes.pop()

    def get(self, name: str) -> Any:
        """The value of a parameter that counts.

        Raises:
            KeyError: There is none, or its conditions do not hold.
        """
        if name not in self.values:
            near = difflib.get_close_matches(name, self.values)
            raise KeyError(f"{name!r} has no value. There are {', '.join(near or self.values) or 'none'}.")
        return self.values[name]

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def is_active(self, parameter: Parameter) -> bool:
        """Whether the conditions of a parameter hold."""
        return all(parent in self.values and self.values[parent] in wanted for parent, wanted in parameter.conditions)

    def copy(self) -> Self:
        """Another one of the same space and values."""
        new = type(self)()
        new.space, new.values = list(self.space), dict(self.values)
        return new

    def find(self, name: str) -> Parameter | None:
        """A parameter of the space."""
        return next((p for p in self.space if p.name == name), None)

    def _ask(self, parameter: Parameter) -> Any:
        known = self.find(parameter.name)
        if known is None:
            self.space.append(parameter)
        elif known != parameter:
            raise ValueError(
                f"hp.{parameter.kind}({parameter.name!r}) was asked for before as hp.{known.kind} with {known.shown()}, now with "
                f"{parameter.shown()}. Give it another name, or the same arguments."
            )
        if parameter.name in self.values:
            return self.values[parameter.name]
        if self.is_active(parameter):
            self.values[parameter.name] = parameter.start
        return parameter.start

    def _conditions(self, name: str, parent: str | None, values: Any) -> Any:
        if not isinstance(name, str) or not name:
            raise ValueError(f"A hyper-parameter needs a name, a string, but got {name!r}.")
        own = [] if parent is None else [self._condition(parent, values)]
        return (*self._scopes, *own)

    def _condition(self, parent: str, values: Any) -> tuple[str, tuple[Any, ...]]:
        if self.find(parent) is None:
            raise ValueError(f"conditional on {parent!r}: there is no such parameter yet. Ask for it before.")
        return parent, tuple(values) if isinstance(values, (list, tuple)) else (values,)

    def __repr__(self) -> str:
        return f"HyperParameters({self.values})"
