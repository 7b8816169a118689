"""Debugger: a training step that is run call by call, forward and back."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from mlkit.core import dtypes, locks, tree
from mlkit.core.tensor import Tensor, Value
from mlkit.debugger.breakpoint import Breakpoint
from mlkit.debugger.statistics import as_numpy, summary
from mlkit.debugger.step_graph import StepGraph
from mlkit.debugger.values import Values
from mlkit.debugger.view import View
from mlkit.models.checks.case import count
from mlkit.models.nonfinite import bad_row, first_nonfinite, origin


class Debugger:
    """A step of a model on one batch, run call by call; `mlkit.debug` makes it.

    The calls are those of the step's graph, which compiled and eager runs share, each with the path of its layer: forward, loss,
    gradient, update, and metrics. Weights, optimizer and metrics stay as they are until the last call has run, and get all their new
    values then. Each method that moves returns the debugger, which shows where it is.

    Args:
        model: a compiled model.
        graph: the graph of its step.
        data: the batch: (x, y) or (x, y, sample_weight), of arrays (batch, ...).

    Attributes:
        position: How many calls have run.
        stopped: Why it stopped there, in words, "" at the place that was asked for.
        logs: What the step returned, once it has ended.
    """

    def __init__(self, model: Any, graph: StepGraph, data: Any):
        self.model, self.graph = model, graph
        self.breakpoints: list[Breakpoint] = []
        self.watched: list[str] = []
        self.position, self.stopped, self.logs = 0, "", None
        arrays = [leaf for leaf in tree.flatten(data) if leaf is not None]
        inputs = {id(v): Tensor(np.array(a)) for v, a in zip(self.graph.inputs, map(np.asarray, arrays))}
        program = self.graph.program
        variables = list(dict.fromkeys([*program.reads, *program.writes]))
        held = locks.together(lambda: [v._value for v in variables], [v.lock for v in variables])
        self._before = self._now = dict(zip(variables, held))
        self._samples = count(data)
        inputs |= {id(value): self._before[v] for v, value in self.graph.variables.items()}
        self._values = Values(self.graph, inputs)

    # ---- where ----------------------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the step has ended."""
        return self.position == len(self.graph.calls)

    @property
    def phase(self) -> str:
        """The part of the step of the last call: "forward", "loss", "gradient", "update" or "metrics"."""
        return self.graph.phases[max(self.position - 1, 0)]

    @property
    def layer(self) -> str:
        """The path of the last call's layer, "" outside of all."""
        return self.graph.layers[max(self.position - 1, 0)]

    @property
    def op(self) -> str:
        """The name of the last call's op."""
        return self.graph.calls[max(self.position - 1, 0)].op.name

    @property
    def last(self) -> str | None:
        """The name of what the last call gave; None before the first."""
        return self.graph.names[self.position - 1] if self.position else None

    def names(self, pattern: str = "*") -> list[str]:
        """The names of all values: inputs, variables, what calls and layers give, logs.

        Args:
            pattern: As of file names.
        """
        wanted = Breakpoint(layer=pattern)
        return [name for name in self.graph.values if wanted.is_at(name, "", "")]

    # ---- moving ---------------------------------------------------------------------------------------------------------------------

    def step(self, count: int = 1) -> Self:
        """Run the next call, or several."""
        target = self.position + count
        return self._move(lambda: self.position >= target)

    def next_layer(self) -> Self:
        """Run until a call of another layer, or of another part of the step, has run."""
        here = (self.layer, self.phase) if self.position else None
        return self._move(lambda: (self.layer, self.phase) != here)

    def go(self, to: str | None = None) -> Self:
        """Run until a breakpoint, or to the end of the step. ("continue" is a word of Python's.)

        Args:
            to: The name of a value or a layer behind whose call to stop at the latest.
        """
        if to is None:
            return self._move(lambda: False)
        target = self.graph.makers.get(id(self.graph.find(to)), -1) + 1
        if target <= self.position:
            raise ValueError(f"go: {to!r} has its value already; `back` goes there.")
        return self._move(lambda: self.position >= target)

    def finish(self) -> dict[str, Any]:
        """Run to the end, whatever the breakpoints. Returns the logs as Python numbers."""
        while not self.done:
            self._one()
        return self.logs

    def back(self, count: int = 1) -> Self:
        """Go back by a call, or several. What these gave is forgotten, with what was set there, and is computed anew; from the end,
        variables get the values again that they had before the step."""
        if self.done and count > 0:
            self._replace(self._now, {v: self._before[v] for v in self.graph.written})
            self.logs = None
        target = max(0, self.position - count)
        self._values.forget(range(target, self.position), given=True)
        self.position, self.stopped = target, ""
        return self

    def break_on(
        self,
        layer: str | None = None,
        op: str | None = None,
        when: str | Callable[..., Any] | None = None,
        phase: str | None = None,
    ) -> Breakpoint:
        """Stop behind each call from here on that all of these hold for.

        Args:
            layer: The path of a layer, which may be a pattern ("block3/*"); calls in layers within count.
            op: The name of an op, or a pattern.
            when: "nonfinite": the call gives what is not finite for arguments that are. Or a function of what the call gives, a NumPy
                array (of several, one argument each): whether to stop.
            phase: "forward", "loss", "gradient", "update" or "metrics".

        Returns:
            The breakpoint, for `breakpoints.remove`.

        Raises:
            ValueError: No call of the step is meant.
        """
        wanted = Breakpoint(layer, op, phase, when)
        if not any(map(wanted.is_at, self.graph.layers, (c.op.name for c in self.graph.calls), self.graph.phases)):
            raise ValueError(f"break_on: no call of this step has {wanted}. `names()` lists what there is.")
        self.breakpoints.append(wanted)
        return wanted

    def watch(self, name: str) -> Self:
        """Show a value wherever the debugger stops."""
        self.graph.find(name)
        if name not in self.watched:
            self.watched.append(name)
        return self

    # ---- values ---------------------------------------------------------------------------------------------------------------------

    def value(self, name: str) -> np.ndarray:
        """A value by name, as an array of your own: "x", "y", a variable's path, a layer's path (what it gave last), a call's name.

        Raises:
            ValueError: There is no such name, or its call has not run yet.
        """
        return np.array(self._reached(name).numpy())

    def gradient(self, name: str) -> np.ndarray | None:
        """The gradient of the loss for a value or a variable, as the step itself finds it; None where the loss does not depend on it, and
        for the inputs, for which the step asks for none. It is computed ahead where the step is not there yet.

        Raises:
            ValueError: There is no such name.
        """
        g = self.graph.gradients.get(id(self.graph.find(name)))
        return None if g is None else np.array(as_numpy(self._values.get(g)))

    def set(self, name: str, array: Any) -> Self:
        """Let a value be another for the rest of this step. All that was computed from it is computed anew.

        A variable set so has the value in this step alone, unless the step assigns it.

        Args:
            name: As for `value`.
            array: Of the same shape, or a number for all elements.

        Raises:
            ValueError: The shape is another, or the value is not known yet.
        """
        old, array = self._reached(name), np.asarray(array)
        if self.done:
            raise ValueError("set: the step has ended. Go `back()` first.")
        if array.shape not in ((), old.shape):
            raise ValueError(f"set: {name!r} has shape {old.shape}, but got {array.shape}.")
        if array.dtype.kind in "OSU" or (array.dtype.kind == "c" and not old.dtype.startswith("complex")):
            raise ValueError(f"set: {name!r} holds {old.dtype}, but got {array.dtype}.")
        new = np.broadcast_to(array, old.shape).astype(dtypes.as_numpy(old.dtype))
        self._values.set(self.graph.find(name), Tensor(np.array(new)))
        return self

    def _reached(self, name: str) -> Tensor:
        v = self.graph.find(name)
        i = self.graph.makers.get(id(v))
        if i is not None and i >= self.position:
            raise ValueError(f"{name!r} is not known yet: call {i + 1} gives it, and {self.position} have run.")
        return self._values.get(v)

    # ---- how ------------------------------------------------------------------------------------------------------------------------

    def _move(self, is_there: Callable[[], bool]) -> Self:
        if self.done:
            self.stopped = "The step has ended."
            return self
        if self.position == 0 and not self.stopped and (said := self._bad_data()):
            self.stopped = said
            return self
        self.stopped = ""
        while not self.done:
            self.stopped = self._one()
            if self.stopped or is_there():
                break
        return self

    def _one(self) -> str:
        """Run the next call; in words why to stop there, or ""."""
        i = self.position
        call, layer, phase = self.graph.calls[i], self.graph.layers[i], self.graph.phases[i]
        args, outs = self._values.run(i)
        self.position += 1
        if self.done:
            self._end()
        for wanted in self.breakpoints:
            if not wanted.is_at(layer, call.op.name, phase):
                continue
            if wanted.is_of_numbers:
                if said := self._nonfinite(call, args, outs):
                    return said
            elif wanted.holds([as_numpy(t) for t in outs]):
                return f"Breakpoint: {wanted}."
        return ""

    def _nonfinite(self, call: Any, args: Any, outs: Any) -> str:
        bad = first_nonfinite(args, outs) if any(type(a) is Tensor for a in args) else None
        return "" if bad is None else origin(call.op.name, call.place, args, bad, self._samples)

    def _bad_data(self) -> str:
        if not any(b.is_of_numbers and b.layer is None and b.op is None for b in self.breakpoints):
            return ""
        for name, v in list(self.graph.values.items())[: len(self.graph.inputs)]:
            if (row := bad_row(as_numpy(self._values.get(v)))) is not None:
                return f"The data are not finite: {name}, row {row} of the batch."
        return ""

    def _end(self) -> None:
        """Give the variables their new values, and make the logs."""
        new = {v: Tensor(self._values.get(value).data, v._value.node) for v, value in self.graph.written.items()}
        self._replace(self._before, new)
        logs = self.graph.program._packed([self._values.get(v).data for v in self.graph.results])
        self.logs = tree.map_structure(lambda t: as_numpy(t).tolist() if type(t) is Tensor else t, logs)

    def _replace(self, old: dict[Any, Tensor], new: dict[Any, Tensor]) -> None:
        """Let variables that have old values have new ones."""
        with locks.Writing([v.lock for v in new]):
            moved = next((v.path for v, t in old.items() if v in new and v._value is not t), None)
            if moved is not None:
                raise RuntimeError(
                    f"debug: {moved!r} has been changed by others since this step began, so nothing is assigned. Begin anew with "
                    "mlkit.debug."
                )
            for v, t in new.items():
                v._value = t
        self._now = {**old, **new}

    # ---- shown ----------------------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """Where it is, for printing and for pages."""
        here, calls = self.position, self.graph.calls
        rows = []
        for i in range(max(0, here - 4), min(len(calls), here + 4)):
            shown = summary(self._values.get(calls[i].outs[0])) if i < here else ""
            rows.append((i, self.graph.phases[i], self.graph.names[i], shown))
        known = [(n, self._shown(self.graph.find(n))) for n in self.watched]
        return View(f"{self.model.name}: call {here} of {len(calls)}", self.stopped, here, rows, known, self.logs)

    def _shown(self, v: Value) -> str:
        i = self.graph.makers.get(id(v))
        return "not known yet" if i is not None and i >= self.position else summary(self._values.get(v))

    def __repr__(self) -> str:
        return self.view().text()

    def _repr_html_(self) -> str:
        return self.view().html()
