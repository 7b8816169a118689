"""LiveDebugger: a page in the browser that shows a running `fit`, and debugs it."""

from typing import Any

import numpy as np

from mlkit.debugger.attached import AttachedDebugger
from mlkit.debugger.breakpoint import NONFINITE, Breakpoint
from mlkit.debugger.checked_step import NORMS, STATISTICS
from mlkit.debugger.debugger import Debugger
from mlkit.debugger.page import Page
from mlkit.debugger.statistics import summary
from mlkit.models.diagram import model_to_dot
from mlkit.utils.console import print_message

_POINTS = 400  # of the loss that are shown


class LiveDebugger(AttachedDebugger):
    """Serves a page on this machine that shows a running `fit`: the model's graph, the loss, what each layer gives and how its weights
    move. Its buttons pause training, run a step call by call, go back, look at values and gradients, and let training go on.

    Where something is not finite, training stops before that step's update and the page shows the call, the layer and the sample.
    Training waits at a stop until the page says how it goes on.

    Args:
        port: Of the page, on 127.0.0.1; 0 for any that is free.
        every: Batches between statistics of the layers; 0 for none.
        when: "nonfinite", or None for no stops but those that the page asks for.

    Attributes:
        url: Where the page is, once training has begun; its token keeps others from it.

    Example: `model.fit(x, y, epochs=10, callbacks=[mlkit.callbacks.LiveDebugger()])`
    """

    def __init__(self, port: int = 0, every: int = 10, when: str | None = NONFINITE):
        if when not in (None, NONFINITE):
            raise ValueError(f"LiveDebugger: `when` must be {NONFINITE!r} or None, but got {when!r}.")
        if not isinstance(every, int) or every < 0:
            raise ValueError(f"LiveDebugger: `every` must be a whole number, 0 or more, but got {every!r}.")
        if not isinstance(port, int) or not 0 <= port < 65536:
            raise ValueError(f"LiveDebugger: `port` must be a number from 0 to 65535, but got {port!r}.")
        super().__init__([Breakpoint(when=when)] if when else [])
        self.port, self.every, self.url = port, every, ""
        self._page: Page | None = None
        self._epoch = self._batch = 0
        self._losses: list[float] = []
        self._next = False  # whether to stop at the next batch

    # ---- turns of training ----------------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self.close()
        self._epoch, self._batch, self._losses = 0, 0, []
        page = self._page = Page(self.port)
        self.url = page.url
        graph = model_to_dot(self.model).svg() if self.model.built else ""
        page.show(model=self.model.name, state="running", graph=graph, columns=STATISTICS, norms=NORMS, layers={}, variables={})
        print_message(f"Live debugger: {self.url}")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batch = batch
        for command in self._page.waiting():
            self.stops_next |= command["do"] == "pause"
            self.model.stop_training |= command["do"] == "end"
        self.stops_next |= self._next
        self._next = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._losses.append(float((logs or {}).get("loss", np.nan)))
        if len(self._losses) > 2 * _POINTS:
            self._losses = self._losses[::2]
        self._page.show(epoch=self._epoch + 1, batch=batch + 1, losses=[x if np.isfinite(x) else None for x in self._losses])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._page.show(state="ended")
        self.close()

    def close(self) -> None:
        """Take the page down. Training does so at its end."""
        if self._page is not None:
            self._page.close()
            self._page = None

    # ---- statistics -----------------------------------------------------------------------------------------------------------------

    def wants_statistics(self) -> bool:
        return self.every > 0 and self._batch % self.every == 0

    def on_statistics(self, rows: dict[str, np.ndarray]) -> None:
        shown = {name: [float(x) if np.isfinite(x) else None for x in row] for name, row in rows.items()}
        self._page.show(
            layers={n: r for n, r in shown.items() if len(r) == len(STATISTICS)},
            variables={n: r for n, r in shown.items() if len(r) == len(NORMS)},
        )

    # ---- a stop ---------------------------------------------------------------------------------------------------------------------

    def interact(self, debugger: Debugger) -> bool:
        answer = ""
        while True:
            view = debugger.view()
            rows = [[i + 1, phase, name, shown, i == debugger.position - 1] for i, phase, name, shown in view.rows]
            self._page.show(
                state="stopped",
                debugger={
                    "title": view.title,
                    "stopped": view.stopped,
                    "rows": rows,
                    "layer": debugger.layer,
                    "answer": answer,
                },
            )
            command = self._page.wait()
            do, name = command["do"], command.get("name", "")
            if do in ("continue", "batch", "end"):
                self._next = do == "batch"
                if do == "batch":
                    debugger.breakpoints = []
                self._page.show(state="running", debugger=None)
                return do != "end"
            answer = self._done(debugger, do, name)

    def _done(self, debugger: Debugger, do: str, name: str) -> str:
        """Do what a button asks for. What to say of it."""
        try:
            if do in ("step", "next_layer", "back"):
                getattr(debugger, do)()
            elif do == "to":
                debugger.go(name)
            elif do == "value":
                return f"{name}: {summary(debugger.value(name))}"
            elif do == "gradient":
                found = debugger.gradient(name)
                return f"gradient of {name}: {summary(found) if found is not None else 'none'}"
        except (ValueError, RuntimeError) as error:
            return str(error)
        return ""
