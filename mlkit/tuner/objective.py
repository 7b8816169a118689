"""Objective: what a search looks for."""

from dataclasses import dataclass
from typing import Any

from mlkit import metrics

DIRECTIONS = ("min", "max")


@dataclass(frozen=True)
class Objective:
    """A value of the logs, and whether it should fall or rise.

    Args:
        name: As in the logs of `fit`: "val_loss", "val_accuracy".
        direction: "min" or "max".
    """

    name: str
    direction: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"Objective: `name` must be the name of a value of the logs, but got {self.name!r}.")
        if self.direction not in DIRECTIONS:
            raise ValueError(f"Objective: `direction` must be 'min' or 'max', but got {self.direction!r}.")

    def is_better(self, value: float, other: float | None) -> bool:
        """Whether a value is better than another, or than none."""
        return other is None or (value < other if self.direction == "min" else value > other)


def objective_of(given: Any) -> Objective | None:
    """What users pass for an objective: an Objective, a name whose direction is known, or None."""
    if given is None or isinstance(given, Objective):
        return given
    if not isinstance(given, str):
        raise ValueError(f"`objective` must be a name or an Objective, but got {given!r}.")
    name = given.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return Objective(given, "min")
    try:
        direction = getattr(metrics.get(name), "_direction", None) or _direction_of_function(name)
    except ValueError:
        direction = None
    if direction is None:
        raise ValueError(
            f"objective={given!r}: whether it should rise or fall is not known by its name. Pass "
            f"mlkit.tuner.Objective({given!r}, direction='max') or 'min'."
        )
    return Objective(given, "max" if direction == "up" else "min")


def _direction_of_function(name: str) -> str | None:
    """Of metrics that are functions: accuracies rise, losses fall."""
    if name in ("accuracy", "acc") or name.endswith("_accuracy"):
        return "up"
    return "down" if callable(metrics.get(name)) else None
