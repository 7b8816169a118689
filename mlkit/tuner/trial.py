"""Trial: what one configuration gave."""

from dataclasses import dataclass, field
from typing import Any

from mlkit.tuner.hyperparameters import HyperParameters

RUNNING, COMPLETED, STOPPED, FAILED = "RUNNING", "COMPLETED", "STOPPED", "FAILED"


@dataclass(frozen=True)
class Trial:
    """A run of a search with one choice of hyperparameters, and what came of it.

    Args:
        number: from 0, as text in `trial_id`.
        hyperparameters: the values that it tries.
        status: "RUNNING", "COMPLETED", "STOPPED" (pruned) or "FAILED".
        score: the objective at its best, None where there is none.
        best_step: the epoch of it.
        message: why it failed.
        scores: epoch -> objective.
    """

    number: int
    hyperparameters: HyperParameters
    status: str
    score: float | None = None
    best_step: int | None = None
    message: str = ""
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def trial_id(self) -> str:
        return f"{self.number:04d}"

    def summary(self) -> None:
        """Print it."""
        print(self.text())

    def text(self) -> str:
        """In some lines."""
        lines = [f"Trial {self.trial_id} summary", "Hyperparameters:"]
        lines += [f"{name}: {value}" for name, value in self.hyperparameters.values.items()]
        if self.score is not None:
            lines.append(f"Score: {self.score}" + (f" (epoch {self.best_step + 1})" if self.best_step is not None else ""))
        if self.status != COMPLETED:
            lines.append(f"Status: {self.status}")
        return "\n".join(lines + ([self.message] if self.message else []))

    def config(self) -> dict[str, Any]:
        """The values by which two trials are the same."""
        return dict(self.hyperparameters.values)
