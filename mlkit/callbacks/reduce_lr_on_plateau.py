"""ReduceLROnPlateau: lowers the learning rate when a metric no longer improves."""

from typing import Any

from mlkit.callbacks.learning_rate_scheduler import log_learning_rates, named_optimizers
from mlkit.callbacks.monitor import MonitorCallback
from mlkit.utils.console import print_message


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when the monitored value has not improved for `patience` epochs.

    Args:
        monitor: name in the logs.
        factor: factor below 1.
        patience: epochs without improvement that are waited for.
        verbose: 1 prints what is done.
        mode: "min", "max" or "auto", see `MonitorCallback`.
        min_delta: least change that counts as an improvement.
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: the learning rate is not made smaller than this.

    Example: `model.fit(x, y, epochs=100, validation_split=0.1, callbacks=[ReduceLROnPlateau(factor=0.5, patience=3)])`
    """

    kept = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool | int | str = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau: `factor` must be below 1, but is {factor}; the learning rate would never fall."
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        log_learning_rates(self.model, logs)
        value = self.monitored(logs, "lower the learning rate by")
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int):
        """Lower the learning rate of every optimizer that stands above `min_lr`; whether any did."""
        reduced = False
        for name, optimizer in named_optimizers(self.model):
            old = float(optimizer.learning_rate)
            if old > self.min_lr * (1 + 1e-6):  # a float32 rate may stand a rounding error above its minimum
                optimizer.learning_rate = max(old * self.factor, self.min_lr)
                reduced = True
                if self.verbose > 0:
                    print_message(f"Epoch {epoch + 1}: {name} lowered from {old:.6g} to {float(optimizer.learning_rate):.6g}.")
        return reduced
