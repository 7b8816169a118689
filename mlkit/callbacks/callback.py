"""Callback: what happens at the turns of training, evaluation and prediction."""

from typing import Any


class Callback:
    """Base of callbacks: override the methods you need.

    `self.model` is the model at work and `self.params` a dict with `verbose`, `epochs` and `steps` (None where unknown). `logs`
    is a dict from name to Python float; what a callback adds to it in `on_epoch_end` reaches those after it, and History.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch}: loss {logs['loss']:.1f}!")
    >>> Shout().on_epoch_end(0, {"loss": 0.5})
    epoch 0: loss 0.5!
    """

    # defaults of the class, so that a subclass whose __init__ does not call super().__init__() works
    params = None
    _model = None
    kept: tuple[str, ...] = ()  # attributes that change while training goes on and decide what comes next
    only_on_rank_0 = (
        False  # whether, of processes that train together, the first alone is to run it: it writes or prints, and no more
    )
    comes_last = False  # whether its turn comes when all others have had theirs

    def __init__(self):
        """Nothing to set: `params` and `model` come with `set_params` and `set_model`."""

    @property
    def model(self) -> Any:
        """The model at work."""
        return self._model

    def set_model(self, model: Any) -> None:
        """Called once before the work begins."""
        self._model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called once before the work begins."""
        self.params = params

    def get_state(self) -> dict[str, Any]:
        """What `BackupAndRestore` is to keep of this callback, so that training goes on as if it had not stopped: numbers, strings,
        NumPy arrays, and lists and dicts of them."""
        return {name: getattr(self, name) for name in self.kept}

    def set_state(self, state: dict[str, Any]) -> None:
        """What `get_state` returned, once all callbacks have been through `on_train_begin`."""
        for name, value in state.items():
            setattr(self, name, value)

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before an epoch of training, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After an epoch of training and its validation; `logs` holds the metrics, those of validation as `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a training step; `logs` holds the metrics of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of `evaluate` or of validation."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of `predict`; `logs` is `{"outputs": predictions}`."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """After training; `logs` is that of the last `on_epoch_end`."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before `evaluate` or validation."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """After `evaluate` or validation."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """After `predict`."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
