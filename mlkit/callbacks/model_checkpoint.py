"""ModelCheckpoint: saves the model while it trains."""

import os
import warnings
from typing import Any

import numpy as np

from mlkit.callbacks.monitor import MonitorCallback
from mlkit.callbacks.save_interval import SaveInterval
from mlkit.utils.console import print_message


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after every epoch or every so many batches; on request only when it is the best yet.

    A file is written completely or not at all: a run that is killed leaves the last good one.

    Args:
        filepath: path ending in `.keras` or `.h5`, or in `.weights.h5` with `save_weights_only`. It may hold fields such as
            `{epoch:02d}` (counted from 1), `{batch}` and the names in the logs: `"{epoch:02d}-{val_loss:.2f}.keras"`.
        monitor: name in the logs by which the best model is chosen.
        verbose: 1 prints what is done.
        save_best_only: whether to save only when the monitored value is the best so far.
        save_weights_only: whether to write `model.save_weights` and not `model.save`.
        mode: "min", "max" or "auto", see `MonitorCallback`.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: value to beat from the beginning on.
    """

    only_on_rank_0 = True

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: bool | int | str = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._interval = SaveInterval(save_freq)
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: with save_weights_only={save_weights_only} `filepath` must end in {' or '.join(endings)}, "
                f"but is {self.filepath!r}."
            )

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "interval": self._interval.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self.best = state["best"]
        self._interval.set_state(state["interval"])

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._interval.is_due(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any] | None):
        path = self._path(epoch, batch, logs)
        reason = self._reason(logs)
        if reason is None:
            if self.verbose > 0:
                print_message(f"Epoch {epoch + 1}: {self.monitor} did not improve from {_number(self.best)}.")
            return
        if os.path.isdir(path):
            raise IsADirectoryError(f"ModelCheckpoint: `filepath` must name a file, but {path} is a directory.")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print_message(f"Epoch {epoch + 1}: {reason}model saved to {path}")

    def _reason(self, logs: dict[str, Any] | None):
        """Why the model is to be saved, for the message; None if it is not."""
        if not self.save_best_only:
            return ""
        value = self.monitored(logs, "choose the best model by, so every one is saved")
        if value is None:
            return ""
        if np.ndim(value) > 0:
            warnings.warn(f"ModelCheckpoint: {self.monitor!r} is no single number, so every model is saved.", stacklevel=4)
            return ""
        if not self.is_improvement(value, self.best):
            return None
        before, self.best = self.best, value
        return f"{self.monitor} improved from {_number(before)} to {_number(value)}, "

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> str:
        fields = {"epoch": epoch + 1, **logs}
        if batch is not None:
            fields.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**fields)
        except (KeyError, IndexError) as error:
            raise KeyError(
                f"ModelCheckpoint: there is no value for the field {error} of filepath {self.filepath!r}. "
                f"Those there are: {', '.join(fields)}."
            ) from error


def _number(value: Any) -> Any:
    return "None" if value is None else f"{value:.5f}"
