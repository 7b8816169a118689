"""Program: one trace of a function, compiled, with the variables that it reads and writes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.core import debug, dtypes, locks, tree
from mlkit.core.garbage_collection import uncollected
from mlkit.core.ownership import held_among
from mlkit.core.program_cache import uses
from mlkit.core.spec import Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.trace import Trace
from mlkit.core.variable import BaseVariable


class Program:
    """One trace of a function, compiled: inputs are its array arguments followed by the variables it reads."""

    @uncollected()
    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], compiled: bool = True, due: bool = False
    ):
        trace = Trace()

        def symbol(leaf):
            return trace.input(borrowed(leaf).spec) if is_array(leaf) else leaf

        with swapped(top=trace):
            inputs = tree.map_structure(symbol, (args, kwargs))
            out = fn(*inputs[0], **inputs[1])
        leaves = tree.flatten(out)
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self.reads, self.writes = list(trace.reads), list(trace.writes)
        self.flags = self.current_flags()
        self.static = [None if is_tensor(x) else (x,) for x in leaves]
        self.out = tree.map_structure(lambda x: None, out)  # the form only: the leaves would keep the trace alive
        results = [(trace.read(x) if isinstance(x, BaseVariable) else x).data for x in leaves if is_tensor(x)]
        self.graph = trace.graph
        self.graph.name = self.name
        first = len(self.graph.inputs)
        self.graph.inputs += [t.data for t in trace.reads.values()]
        self.graph.state, self.graph.is_due = len(self.reads), due
        self.graph.outputs = results + [t.data for t in trace.writes.values()]
        place = {v: first + i for i, v in enumerate(self.reads)}
        self.graph.successors = {place[v]: len(results) + i for i, v in enumerate(self.writes) if v in place}
        self.graph.layouts = {len(results) + i: v._layout for i, v in enumerate(self.writes) if v._layout is not None}
        if debug.LEVEL >= 1:
            debug.say(f"traced {self.name}: {len(self.graph.calls)} calls, {len(self.graph.inputs)} inputs")
        self.run: Any = state.backend.compile(self.graph) if compiled else None
        self.nbytes = 0 if self.run is None else self.run.nbytes
        self.home: Any = None  # the function that keeps it, weakly, and its signature there
        self.used = next(uses)  # when that was last
        self._locks = [v.lock for v in dict.fromkeys([*self.reads, *self.writes])]
        number = {v: i for i, v in enumerate(self.reads)}
        self._before = [number.get(v) for v in self.writes]  # where the old value is among those of what is read

    @property
    def plan(self) -> Any:
        """The Plan of its memory."""
        plan = self.run.plan
        if plan is None:
            raise NotImplementedError(f"memory_report: the {state.backend.name} backend does not plan memory itself.")
        return plan

    def fits(self) -> bool:
        """Whether the variables it reads are trainable or not as they were when it was traced."""
        return self.current_flags() == self.flags

    def current_flags(self) -> list[bool]:
        """What of the variables it reads the trace depends on: of each, whether it is trainable."""
        return [v.trainable for v in self.reads]

    def drop(self) -> None:
        """Have its function forget it."""
        function, key = self.home
        if function() is not None:
            function().forget(self, key)

    def __repr__(self) -> str:
        inputs = self.graph.inputs[: len(self.graph.inputs) - self.graph.state]
        return f"{self.name}({', '.join(f'{v.dtype}{list(v.shape)}' for v in inputs)})"

    def __call__(self, arrays: list[Any]) -> Any:
        """Run it. What it reads is of one moment, and nobody else changes it before all is written."""
        if self.writes:
            with locks.Writing(self._locks):
                return self._run_alone(arrays)
        run, values = (
            self.run.current(),
            locks.together(self._values, self._locks),
        )  # held, so that nobody else writes into their memory
        first = len(arrays)
        arrays += [t.data for t in values]
        results = run(arrays)
        if run.moved:
            self._move(run, arrays[first:], values)
        return self._packed(results)

    def _run_alone(self, arrays: list[Any]) -> Any:
        run, values, first = self.run.current(), self._values(), len(arrays)
        arrays += [t.data for t in values]
        taken, nodes = [i - first for i in run.overwrites], [v._value.node for v in self.writes]
        try:
            for k in taken:
                del self.reads[k]._value  # who reads it now waits; so that nobody gets hold of what is going to be overwritten
            for k in held_among(values, taken, owners=0):
                arrays[first + k] = state.backend.own(values[k].data)
            results = run(arrays)
            if run.moved:
                self._move(run, arrays[first:], values)
        except BaseException:
            for k in taken:
                vars(self.reads[k]).setdefault("_value", values[k])
            raise
        n = len(results) - len(self.writes)
        for v, a, node, k in zip(self.writes, results[n:], nodes, self._before):
            # in the old value's memory, which nobody else can see: then the handle is as good as a new one
            v._value = values[k] if k is not None and values[k].data is a else Tensor(a, node)
        return self._packed(results[:n])

    def _move(self, run: Any, arrays: list[Any], values: list[Any]) -> None:
        """Let variables whose values came from another device have those that the run brought."""
        run.moved = False
        for v, array, value in zip(self.reads, arrays, values):
            if array is not value.data and vars(v).get("_value") is value:
                with v.lock:
                    v._value = Tensor(array, value.node)

    def _values(self) -> list[Any]:
        return [v._value for v in self.reads]

    def _packed(self, results: list[Any]) -> Any:
        """What the function returns, of the arrays among it."""
        tensors = iter(results)
        values = iter([s[0] if s else Tensor(next(tensors)) for s in self.static])
        return tree.map_structure(lambda _: next(values), self.out)


def is_tensor(x: Any) -> bool:
    return type(x) is Tensor or isinstance(x, BaseVariable)


def is_array(x: Any) -> bool:
    """Whether an argument of a traced function is data (becomes a graph input) rather than part of the signature."""
    return type(x) is Tensor or type(x) is Spec or isinstance(x, (np.ndarray, np.generic))


def borrowed(x: Any) -> Tensor:
    """An array among the arguments as a Tensor for one run; a Spec as one without a value."""
    if type(x) is Tensor:
        return x
    if type(x) is Spec:
        return Tensor(x)
    return Tensor(state.backend.borrow(x, dtypes.name_of(x.dtype)))
