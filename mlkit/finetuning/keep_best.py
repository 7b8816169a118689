"""A callback that keeps the best weights, over several trainings and of a model around the one that is trained."""

import math
import os
from typing import Any

import numpy as np

from mlkit.callbacks.monitor import MonitorCallback


class KeepBest(MonitorCallback):
    """Keeps the weights of the best epoch of one or several calls of `fit`.

    In contrast to `EarlyStopping` it goes on from one training to the next, and it may watch the training of a part (a head) to
    keep the weights of the whole.

    Args:
        model: the model whose weights are kept.
        monitor, mode: by which value, see `MonitorCallback`. Of epochs that have the same value, as accuracies of few samples often are,
            the one with the lowest loss is kept.
        filepath: a `.weights.h5` or `.keras` file that always holds the best so far, or None.

    >>> import mlkit
    >>> mlkit.utils.set_random_seed(0)
    >>> model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> best = KeepBest(model, monitor="loss")
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[best])
    >>> best.restore()
    >>> best.best < 10
    True
    """

    kept = ("best", "loss", "weights")

    def __init__(self, model, monitor: str = "val_accuracy", mode: str = "auto", filepath=None):
        super().__init__(monitor, mode)
        self.target = model
        self.filepath = None if filepath is None else os.fspath(filepath)
        self.weights, self.loss = None, math.inf  # of the best epoch
        if self.filepath is not None and not self.filepath.endswith((".weights.h5", ".keras")):
            raise ValueError(f"KeepBest: `filepath` must end in .weights.h5 or .keras, but is {self.filepath!r}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self.monitored(logs, "choose the best weights by")
        if value is None:
            return
        loss = (logs or {}).get("val_loss" if self.monitor.startswith("val_") else "loss", math.inf)
        if not self.is_improvement(value, self.best) and not (value == self.best and loss < self.loss):
            return
        weights = [np.array(w) for w in self.target.get_weights()]
        self.best, self.loss, self.weights = value, loss, weights  # all or, after Ctrl-C, none
        if self.filepath is not None:
            save = self.target.save_weights if self.filepath.endswith(".h5") else self.target.save
            save(self.filepath, overwrite=True)

    def restore(self):
        """Give the model its best weights back. Raises ValueError if no epoch has ended yet."""
        if self.weights is None:
            raise ValueError(
                f"KeepBest: there are no weights to restore, for no epoch has ended with a value {self.monitor!r}."
            )
        self.target.set_weights(self.weights)
