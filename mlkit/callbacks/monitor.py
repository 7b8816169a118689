"""MonitorCallback: watches one logged value and tells whether it got better."""

import operator
import warnings
from typing import Any

from mlkit.callbacks.callback import Callback


class MonitorCallback(Callback):
    """Base of callbacks that act on the best value of a metric.

    Args:
        monitor: name in the logs, "val_loss" or "accuracy" say.
        mode: "min": lower is better; "max": higher is better; "auto": known from the loss or the metric of that name.
        baseline: first value to beat, or None.
        min_delta: least change that counts.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode {mode!r} is unknown: expected 'auto', 'min' or 'max'. 'auto' is used.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op = None  # operator.lt or operator.gt, once known

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`; anything is better than None and NaN."""
        if self.monitor_op is None:  # not before: metrics get their names at the first step
            self.monitor_op = {"min": operator.lt, "max": operator.gt}[self._direction()]
        if reference is None or reference != reference:
            return True
        margin = self.min_delta if self.monitor_op is operator.gt else -self.min_delta
        return self.monitor_op(value - margin, reference)

    def monitored(self, logs: dict[str, Any] | None, purpose: str) -> float | None:
        """The value watched, or None with a warning that names those there are."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: no value {self.monitor!r} to {purpose}. Available: {', '.join(logs or {}) or 'none'}.",
                stacklevel=3,
            )
        return value

    def _direction(self):
        if self.mode != "auto":
            return self.mode
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "min"
        for metric in _leaf_metrics(getattr(self.model, "metrics", ())):
            # a model with several outputs logs "<output>_<metric>"
            if name == metric.name or name.endswith("_" + metric.name):
                direction = getattr(metric, "_direction", None)
                if direction is not None:
                    return "max" if direction == "up" else "min"
        raise ValueError(
            f"{type(self).__name__}: whether {self.monitor!r} should rise or fall cannot be told from the model's metrics. "
            "Pass mode='max' (higher is better) or mode='min' (lower is better)."
        )


def _leaf_metrics(metrics):
    for metric in metrics:
        inner = getattr(metric, "metrics", None)
        if inner:
            yield from _leaf_metrics(inner)
        else:
            yield metric
