"""TerminateOnNaN: ends training when the loss is no longer a number."""

import math
from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.utils.console import print_message


class TerminateOnNaN(Callback):
    """Ends training at the first batch after which the loss is NaN or infinite.

    Args:
        raise_error: whether to raise RuntimeError at once (so that `on_train_end` of other callbacks, which may delete a
            backup, does not run) or to stop quietly.
    """

    handles_nonfinite = True  # fit leaves non-finite data to this callback, and does not refuse it

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"The loss is {loss} after batch {batch}. Expected a finite number: look for NaN or Inf in the data, lower the "
                "learning rate, or clip the gradients (`clipnorm` of the optimizer)."
            )
        print_message(f"Batch {batch}: the loss is {loss}; training ends.")
        self.model.stop_training = True
