"""TerminateOnNaN: ends training when the loss is no longer a number."""

import math
from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.utils.console import print_message


class TerminateOnNaN(Callback):
    """Ends training at the first batch after which the loss is NaN or infinite, and says where that came from.

    Args:
        raise_error: whether to raise RuntimeError at once (so that `on_train_end` of other callbacks, which may delete a
            backup, does not run) or to stop quietly.
        find: whether to run that batch once more, op by op, to name the layer, op and place, and to give the model the weights
            from before it. For that the weights of now and then are held, with the batches since (of 64 steps or 256 MB at most),
            which then run once more; without a compiled program, and where several processes train, those before each step.

    >>> import mlkit, numpy as np
    >>> model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Lambda(mlkit.ops.log), mlkit.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit([[1.0, 2.0], [1.0, 0.0]], [0.0, 1.0], callbacks=[TerminateOnNaN()], shuffle=False, verbose=0)
    Batch 0: the loss is inf; training ends. It came from the op 'log' in layer '...', first at (1, 1) of (2, 2), which is sample 1 ...
    """

    handles_nonfinite = True  # fit leaves non-finite data to this callback, and does not refuse it

    def __init__(self, raise_error: bool = False, find: bool = True):
        super().__init__()
        self.raise_error, self.find = raise_error, find

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._notes:
            self.model._begin_noted_step()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._notes:
            self.model._end_noted_step()
        super().on_train_batch_end(batch, logs)

    @property
    def _notes(self) -> bool:
        """Whether steps are noted: those of a `fit` of this library are, where `find` asks for it."""
        return self.find and getattr(getattr(self.model, "_training", None), "run", None) is not None

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        where = " " + self.model._explain_nonfinite() if self._notes else ""
        if self.raise_error:
            raise RuntimeError(
                f"The loss is {loss} after batch {batch}.{where} Expected a finite number: look for NaN or Inf in the data, lower the "
                "learning rate, or clip the gradients (`clipnorm` of the optimizer)."
            )
        look = " mlkit.debug(model) stops there." if where else ""
        print_message(f"Batch {batch}: the loss is {loss}; training ends.{where}{look}")
        self.model.stop_training = True
