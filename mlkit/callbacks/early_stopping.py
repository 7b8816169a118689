"""EarlyStopping: ends training when a metric no longer improves."""

from typing import Any

from mlkit.callbacks.monitor import MonitorCallback
from mlkit.utils.console import print_message


class EarlyStopping(MonitorCallback):
    """Ends training when the monitored value has not improved for `patience` epochs.

    Prechelt, "Early Stopping - But When?", 1998.

    Args:
        monitor: name in the logs.
        min_delta: least change that counts as an improvement.
        patience: epochs without improvement after which training ends.
        verbose: 1 prints what is done.
        mode: "min", "max" or "auto", see `MonitorCallback`.
        baseline: value that must be beaten for an improvement to count.
        restore_best_weights: whether the model gets back the weights of its best epoch at the end.
        start_from_epoch: first epoch (from 0) that is watched.

    Example: `model.fit(x, y, epochs=100, validation_split=0.1, callbacks=[EarlyStopping(patience=3)])`
    """

    kept = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: bool | int | str = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0  # epochs since the last improvement
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self.monitored(logs, "stop by")
        if value is None or epoch < self.start_from_epoch:
            return
        if self.is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            # an improvement that stays behind the baseline is kept, but patience goes on running out
            self.wait = 0 if self.baseline is None or self.is_improvement(value, self.baseline) else self.wait + 1
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_message(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print_message(f"Restoring the weights of the best epoch, {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
