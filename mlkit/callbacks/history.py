"""History: the metrics of every epoch."""

from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.pictures.charts import learning_curves


class History(Callback):
    """Keeps the logs of every epoch. `fit` adds one by itself and returns it.

    `history` is a dict from name to the list of its values by epoch, `epoch` the list of epoch numbers.

    >>> h = History()
    >>> h.on_train_begin(); h.on_epoch_end(0, {"loss": 2.0}); h.on_epoch_end(1, {"loss": 1.0})
    >>> h.history, h.epoch
    ({'loss': [2.0, 1.0]}, [0, 1])
    """

    kept = ("history", "epoch")

    def __init__(self):
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def _repr_html_(self) -> str | None:
        return learning_curves(self).html() if self.history else None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
