"""Breakpoint: where a debugger stops."""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlkit.debugger.step_graph import PHASES

NONFINITE = "nonfinite"


@dataclass(frozen=True)
class Breakpoint:
    """Stops behind a call that all of these hold for.

    Args:
        layer, op: patterns as of file names, for the layer's path, or the end of it, and the op's name; a layer's stands for
            those within too.
        phase: part of the step.
        when: None, "nonfinite" (the call gives what is not finite for arguments that are), or a function of what the call
            gives, a NumPy array (several, one argument each), that says whether to stop.
    """

    layer: str | None = None
    op: str | None = None
    phase: str | None = None
    when: str | Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.layer is None and self.op is None and self.phase is None and self.when is None:
            raise ValueError("break_on: nothing is given. Pass `layer`, `op`, `phase` or `when`.")
        if self.phase is not None and self.phase not in PHASES:
            raise ValueError(f"break_on: `phase` must be one of {PHASES}, but got {self.phase!r}.")
        if not (self.when is None or self.when == NONFINITE or callable(self.when)):
            raise ValueError(f"break_on: `when` must be None, {NONFINITE!r} or a function, but got {self.when!r}.")

    @property
    def is_of_numbers(self) -> bool:
        """Whether it is for what is not finite."""
        return self.when == NONFINITE

    def is_at(self, layer: str, op: str, phase: str) -> bool:
        """Whether it looks at a call there."""
        around = [f"{front}{self.layer}{end}" for front in ("", "*/") for end in ("", "/*")]
        return (
            (self.layer is None or any(fnmatch.fnmatchcase(layer, pattern) for pattern in around))
            and (self.op is None or fnmatch.fnmatchcase(op, self.op))
            and (self.phase is None or phase == self.phase)
        )

    def holds(self, arrays: list[np.ndarray]) -> bool:
        """Whether a function of the user's own says so."""
        return not callable(self.when) or bool(self.when(*arrays))

    def __str__(self) -> str:
        shown = {"layer": self.layer, "op": self.op, "phase": self.phase, "when": self.when}
        return ", ".join(f"{k}={getattr(v, '__name__', v)!r}" for k, v in shown.items() if v is not None)
