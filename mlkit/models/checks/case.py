"""Case: what a check looks at: the model, its data as NumPy arrays, and what is known of each input and output."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mlkit.core import tree
from mlkit.models.checks.graph import first_operations, last_activation

ROWS = 4096  # looked at, evenly spaced, of arrays that have more
BYTES = 1 << 26  # of an array, likewise


@dataclasses.dataclass
class Output:
    """One output of a model.

    where: in words, "" where there is only one; shape: of the predictions, None where a size is unknown; loss, metrics: what was
    compiled for it; target: rows of `y`, or None; activation: the name of the function that made the predictions, None where
    unknown.
    """

    where: str
    shape: tuple[int | None, ...]
    loss: Any
    metrics: list[tuple[str, Any]]
    target: np.ndarray | None
    activation: str | None

    @property
    def loss_function(self) -> str | None:
        """The name of the loss's function."""
        return getattr(getattr(self.loss, "fn", None), "__name__", None)

    @property
    def from_logits(self) -> bool:
        return bool(getattr(self.loss, "from_logits", False))

    @property
    def units(self) -> int | None:
        return self.shape[-1] if len(self.shape) > 1 else 1

    @functools.cached_property
    def labels(self) -> np.ndarray | None:
        """The targets as class numbers, flat, if that is what they are."""
        return class_numbers(self.target, self)


class Input(NamedTuple):
    """One input of a model. name: in words, for messages; array: rows of it; operations: those that take it first, all of them
    in a model whose graph is unknown."""

    name: str
    array: np.ndarray
    operations: list


@dataclasses.dataclass
class Case:
    """x, y, sample_weight: the arrays, whole or the first batch. specs: of the model's outputs. validation: (x, y) or None;
    is_split: whether it was cut from the end of the arrays. allows_nonfinite: whether NaN in the data is somebody else's matter."""

    model: Any
    specs: Any
    x: Any
    y: Any = None
    sample_weight: Any = None
    validation: tuple[Any, Any] | None = None
    is_split: bool = False
    class_weight: Any = None
    batch_size: int | None = None
    allows_nonfinite: bool = False

    @functools.cached_property
    def inputs(self) -> list[Input]:
        """All arrays of `x`; none where layers on the host have made others of them."""
        if self.model._has_host_part:
            return []
        return [Input(name, rows(a), first_operations(self.model, k)) for k, (name, a) in enumerate(named("x", self.x))]

    @functools.cached_property
    def outputs(self) -> list[Output]:
        return self._outputs(self.y)

    @functools.cached_property
    def validation_outputs(self) -> list[Output]:
        """The same with the targets of the validation data; [] without any."""
        return self._outputs(self.validation[1]) if self.validation is not None and self.validation[1] is not None else []

    def _outputs(self, y):
        loss, metrics = self.model._training.loss, self.model._training.metrics
        if loss is None or not loss.built or y is None:
            return []
        targets = [None if t is None else rows(t) for t in loss.outputs.leaves(y, "targets `y`")]
        known = metrics.entries if metrics is not None else []
        entries = [[(n, m) for n, m, i, _ in known if i == k] for k in range(len(targets))]
        shapes = [tuple(n if isinstance(n, int) else None for n in s.shape) for s in tree.flatten(self.specs)]
        return [
            Output(f" of output {name!r}" if len(targets) > 1 else "", shape, one, own, target, last_activation(self.model, k))
            for k, (name, shape, one, own, target) in enumerate(zip(loss.outputs.names, shapes, loss.losses, entries, targets))
        ]


Check = Callable[[Case], Iterator[str]]
CHECKS: list[tuple[Check, bool]] = []


def check(fatal: bool = False) -> Callable[[Check], Check]:
    """Decorator of a function that yields a text for each mistake it finds in a Case."""

    def add(function: Check) -> Check:
        CHECKS.append((function, fatal))
        return function

    return add


def named(what: str, structure: Any) -> list[tuple[str, np.ndarray]]:
    """The arrays of a structure with their names in words: "x", "x[1]", "x['age']"."""
    if structure is None:
        return []
    if isinstance(structure, dict):
        return [pair for key in sorted(structure) for pair in named(f"{what}[{key!r}]", structure[key])]
    if isinstance(structure, (list, tuple)):
        return [pair for k, part in enumerate(structure) for pair in named(f"{what}[{k}]", part)]
    return [(what, structure)]


def rows(array: np.ndarray) -> np.ndarray:
    """The array, or evenly spaced rows of a long one."""
    fitting = max(1, min(ROWS, BYTES // max(1, array[:1].nbytes))) if len(array) else 1
    step = -(-len(array) // fitting)
    return np.asarray(array[::step]) if step > 1 else np.asarray(array)


def class_numbers(target: np.ndarray | None, output: Output) -> np.ndarray | None:
    """Targets as class numbers, flat: of losses that take these, of one-hot rows, and zeros and ones."""
    if target is None or target.size == 0 or target.dtype.kind not in "biuf":
        return None
    if getattr(output.loss, "integer_targets", False):
        return target.ravel()
    if target.ndim > 1 and target.shape[-1] > 1:
        one_hot = ((target == 0) | (target == 1)).all() and (target.sum(-1) == 1).all()
        return target.argmax(-1).ravel() if one_hot else None
    flat = target.ravel()
    return flat if ((flat == 0) | (flat == 1)).all() else None


def count(structure: Any) -> int:
    """The number of samples."""
    return next((len(a) for a in tree.flatten(structure) if a is not None), 0)
