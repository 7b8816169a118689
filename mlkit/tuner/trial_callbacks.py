"""What stands beside the `fit` of a trial: its score, pruning, and the way back after a crash."""

import time
from typing import Any

import numpy as np

from mlkit.callbacks.backup_and_restore import BackupAndRestore
from mlkit.callbacks.callback import Callback
from mlkit.tuner.objective import Objective


class Score(Callback):
    """Follows the objective epoch by epoch, keeps the weights of the best, and ends training where a pruner says so.

    Args:
        objective: What to follow.
        trial: Of Optuna, to report to where a pruner looks at it; None for none.

    Attributes:
        scores: Epoch -> objective.
        best, best_step, best_weights: At the best epoch so far.
        pruned: Whether the pruner has ended it.
    """

    def __init__(self, objective: Objective, trial: Any):
        super().__init__()
        self.objective, self._trial = objective, trial
        self.scores: dict[int, float] = {}
        self.best: float | None = None
        self.best_step: int | None = None
        self.best_weights: list[np.ndarray] = []
        self.pruned = False
        self._reported = set() if trial is None else set(trial.study._storage.get_trial(trial._trial_id).intermediate_values)

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "best_step": self.best_step, "weights": self.best_weights, "pruned": self.pruned,
                "scores": list(self.scores.items())}  # fmt: skip

    def set_state(self, state: dict[str, Any]) -> None:
        self.best, self.best_step, self.best_weights = state["best"], state["best_step"], state["weights"]
        self.pruned, self.scores = state["pruned"], {int(k): v for k, v in state["scores"]}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = value_of(logs or {}, self.objective)
        self.scores[epoch] = value
        if self.objective.is_better(value, self.best):
            self.best, self.best_step, self.best_weights = value, epoch, self.model.get_weights()
        if self._trial is None:
            return
        if epoch not in self._reported:
            self._trial.report(value, epoch)
            self._reported.add(epoch)
        if self._trial.should_prune():
            self.pruned = self.model.stop_training = True


class TimedBackup(BackupAndRestore):
    """A `BackupAndRestore` after epochs, but no more often than every so many seconds.

    Args:
        backup_dir: Its folder.
        seconds: Between two backups.
    """

    def __init__(self, backup_dir: str, seconds: float):
        super().__init__(backup_dir)
        self._seconds, self._last = seconds, time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch + 1
        if time.monotonic() - self._last >= self._seconds:
            self._save()
            self._last = time.monotonic()


def value_of(logs: dict[str, Any], objective: Objective) -> float:
    """The objective in logs.

    Raises:
        ValueError: It is not among them, or no number.
    """
    if objective.name not in logs:
        raise ValueError(f"The objective {objective.name!r} is not among the logs: {', '.join(logs) or 'none'}.")
    value = float(logs[objective.name])
    if not np.isfinite(value):
        raise ValueError(f"The objective {objective.name!r} is {value}.")
    return value
