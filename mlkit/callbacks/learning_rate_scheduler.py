"""LearningRateScheduler: sets the learning rate of every epoch by a function."""

import inspect
from collections.abc import Callable
from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.utils.console import print_message


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch.

    Args:
        schedule: function of (epoch counted from 0, present learning rate), or of the epoch alone, that returns a float.
        verbose: 1 prints what is done.

    Example: `LearningRateScheduler(lambda epoch, rate: rate if epoch < 10 else rate * 0.9)`
    """

    def __init__(self, schedule: Callable[..., Any], verbose: bool | int | str = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, optimizer in named_optimizers(self.model):
            if not hasattr(optimizer, "learning_rate"):
                raise ValueError(
                    f"LearningRateScheduler: the optimizer {type(optimizer).__name__} has no `learning_rate` to set."
                )
            rate = self._scheduled(epoch, float(optimizer.learning_rate))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                print_message(f"Epoch {epoch + 1}: {name} set to {rate:.6g}.")

    def _scheduled(self, epoch: int, present: float) -> float:
        rate = self.schedule(epoch, present) if _takes_two(self.schedule) else self.schedule(epoch)
        if not hasattr(rate, "__float__") or isinstance(rate, (bool, int)):
            raise ValueError(f"LearningRateScheduler: `schedule` must return a float, but returned {rate!r} for epoch {epoch}.")
        return float(rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            log_learning_rates(self.model, logs)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a built-in without a signature
        return True
    return True


def named_optimizers(model: Any) -> Any:
    """(name of its learning rate in the logs, optimizer) of the model's optimizer, or of each where it has several."""
    several = getattr(model.optimizer, "optimizers", None)
    if several is None:
        return [("learning_rate", model.optimizer)]
    return [(f"learning_rate_{optimizer.name}", optimizer) for optimizer in several]


def log_learning_rates(model: Any, logs: dict[str, Any] | None) -> None:
    """Add the present learning rates to the logs."""
    for name, optimizer in named_optimizers(model):
        logs[name] = float(optimizer.learning_rate)
