"""AttachedDebugger: a debugger that stands beside a running `fit`, and takes over where one of its breakpoints is met."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.callbacks.callback import Callback
from mlkit.core import tree
from mlkit.debugger.breakpoint import NONFINITE, Breakpoint
from mlkit.debugger.checked_step import checked_step
from mlkit.debugger.debugger import Debugger
from mlkit.debugger.step_graph import StepGraph
from mlkit.models.journal import Journal
from mlkit.models.nonfinite import variables_of
from mlkit.models.training import step_method


class AttachedDebugger(Callback):
    """Base of what debugs a `fit`: a subclass says in `interact` what to do at a stop.

    Where only what is not finite is looked for, steps run as a compiled program that tells of it, and a step in which it occurs is run
    once more call by call, from the weights before it. With other breakpoints, each step is run call by call.

    Args:
        breakpoints: Where to stop.
        start: Whether to stop before the first call of the first step too.
    """

    handles_nonfinite = True  # fit leaves data that are not finite to this callback

    def __init__(self, breakpoints: Sequence[Breakpoint] = (), start: bool = False):
        super().__init__()
        self.breakpoints, self.stops_next = list(breakpoints), start
        self._programs: dict[bool, Any] = {}
        self._graphs: dict[Any, StepGraph] = {}
        self._journal: Journal | None = None

    def interact(self, debugger: Debugger) -> bool:
        """Called at a stop. Returns whether training is to go on, with what the step gives from here; else it ends, with the weights
        from before the step."""
        raise NotImplementedError(f"{type(self).__name__} must define interact(self, debugger).")

    def wants_call_by_call(self) -> bool:
        """Whether the next step is to be run call by call."""
        return self.stops_next or any(b.when != NONFINITE for b in self.breakpoints)

    def wants_statistics(self) -> bool:
        """Whether the next step is to tell what its layers give."""
        return False

    def on_statistics(self, rows: dict[str, np.ndarray]) -> None:
        """What a step with statistics told, see `checked_step`."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._programs, self._graphs, self._journal = {}, {}, None
        self.model._training.run.step = self._step

    # ---- a step ---------------------------------------------------------------------------------------------------------------------

    def _step(self, data: Any) -> dict[str, Any]:
        if self.wants_call_by_call():
            self._journal = None
            return self._debug(data, self.breakpoints)
        statistics = self.wants_statistics()
        if not (statistics or self.breakpoints):
            return self.model._training.own_program(self.model, "train")(data)
        if self._journal is None:
            self._journal = Journal(variables_of(self.model))
        program = self._program(statistics)
        self._journal.begin_step([data])
        logs, sums, rows = program(data)
        self._journal.end_step()
        if statistics:
            self.on_statistics({name: row.numpy() for name, row in rows.items()})
        if not self.breakpoints or np.isfinite(sums.numpy()).all():
            return logs
        self._journal.rewind(self._program(False))
        self._journal = None
        return self._debug(data, self.breakpoints)

    def _program(self, statistics: bool) -> Callable[[Any], Any]:
        training = self.model._training
        if statistics not in self._programs:
            key = lambda: training.trainable_key(self.model)
            self._programs[statistics] = checked_step(self.model, step_method(self.model, "train"), key, statistics)
        return self._programs[statistics]

    def _debug(self, data: Any, breakpoints: Sequence[Breakpoint]) -> dict[str, Any]:
        """Run a step call by call, and interact at each stop."""
        debugger = Debugger(self.model, self._graph(data), data)
        debugger.breakpoints = list(breakpoints)
        here, self.stops_next = self.stops_next, False
        while not debugger.done:
            if not here:
                debugger.go()
            if (here or debugger.stopped) and not self.interact(debugger):
                self.model.stop_training = True
                if debugger.done:
                    debugger.back()
                return self.model.get_metrics_result()
            here = False
        return debugger.logs

    def _graph(self, data: Any) -> StepGraph:
        """Of the step on such a batch, the one made last if it fits."""
        specs = tuple((a.shape, a.dtype.str) for a in tree.flatten(data) if a is not None)
        key = specs, self.model._training.trainable_key(self.model)
        if key not in self._graphs:
            self._graphs = {key: StepGraph(self.model, step_method(self.model, "train"), data)}
        return self._graphs[key]
