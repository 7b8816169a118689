"""ProgbarLogger: progress and metrics on the screen."""

import sys
import time
from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.utils.console import print_message
from mlkit.utils.progbar import Progbar

try:
    import resource
except ImportError:  # Windows has none
    resource = None


class ProgbarLogger(Callback):
    """Shows a bar for each epoch of `fit`, for `evaluate` and for `predict`; `verbose` of those methods governs it.

    On a terminal and in a notebook each epoch has one moving line, which becomes the line that stays; where the output is
    neither, each epoch prints one line at its end (as it does with `verbose=2`). With `verbose=2` a last line of `fit` tells the
    time of all, how many programs were traced for it (one for each step and shape of a batch; more cost time) and the largest
    memory of the process so far.
    """

    only_on_rank_0 = True

    def __init__(self):
        super().__init__()
        self.progbar = None
        self.verbose = 1
        self.epochs = 1
        self.target = None
        self._in_fit = False
        self._begun, self._epochs, self._traces = 0.0, 0, 0

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose in ("auto", True) else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True
        self._begun, self._epochs, self._traces = time.perf_counter(), 0, getattr(self.model, "_traces", 0)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False
        self._close()
        if self.verbose == 2:
            print_message(self._summary())

    def _summary(self):
        traces = getattr(self.model, "_traces", 0) - self._traces
        parts = [
            f"{self._epochs} epoch{'s' if self._epochs != 1 else ''} in {time.perf_counter() - self._begun:.1f}s",
            f"{traces} program{'s' if traces != 1 else ''} traced",
        ]
        if resource is not None:
            unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
            parts.append(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:.0f} MB in use")
        return " - ".join(parts)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._restart(f"Epoch {epoch + 1}/{self.epochs}" if self.epochs and self.epochs > 1 else "")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epochs += 1
        self._finish(logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._restart()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)
            self._close()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._restart()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, None)  # the outputs are no values to show

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)
        self._close()

    def _restart(self, description=""):
        if self.progbar is None:
            self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())
        self.progbar.reset(self.target, description)

    def _update(self, batch: int, logs: dict[str, Any] | None):
        # a group of batches that run as one counts as full, also when it is the smaller rest of the data
        seen = batch + 1 if self.target is None else min(batch + 1, self.target)
        if self.progbar.is_due():
            self.progbar.update(seen, _read(logs).items(), finalize=False)
        else:
            self.progbar.seen = seen

    def _finish(self, logs: dict[str, Any] | None):
        if self.target is None:  # learned in the first epoch
            self.target = self.progbar.target = self.progbar.seen
        self.progbar.update(self.progbar.seen, _read(logs).items(), finalize=True)

    def _close(self) -> None:
        if self.progbar is not None:
            self.progbar.close()
            self.progbar = None


def _read(logs: dict[str, Any] | None):
    """The logs as a dict. `CallbackList` gives a function that reads them, which waits for the step: called only to show
    them."""
    return (logs() if callable(logs) else logs) or {}
