"""A compiled function under a tape: one program runs forwards and hands out what another needs to run backwards."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.core import dtypes, locks, tree
from mlkit.core.autograd import CustomVjp, Tape, backward, record, vjp_of
from mlkit.core.graph import Graph
from mlkit.core.interpreter import EAGER, Reading, Rerun
from mlkit.core.program import Program, is_array, is_tensor
from mlkit.core.spec import Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.core.variable import value_of


def owned(array: Any) -> Any:
    """An array of the caller's as a Tensor: it is needed later, when the caller may have changed it."""
    return Tensor(state.backend.asarray(array, dtypes.name_of(array.dtype)))


def zeros(spec: Spec) -> Tensor:
    return owned(np.zeros(spec.shape, dtypes.as_numpy(spec.dtype)))


class Captured(Exception):
    """The function uses tensors beside its arguments of which the open tape may be asked for gradients: its ops must be seen."""


def _is_asked(tape: Tape, variable: Any) -> bool:
    """Whether a tape may be asked for the gradient of a variable."""
    return variable.trainable or tape.follows((variable._value,))[0]


class _Asking(Tape):
    """Follows the variables that the program is asked the gradients of."""

    def __init__(self, is_asked: Callable[[Any], bool]):
        super().__init__()
        self._is_asked = is_asked

    def note_read(self, variable: Any, value: Tensor) -> None:
        if self._is_asked(variable):
            self.follow(value)


class DifferentiatedProgram(Program):
    """The program of a function whose gradients a tape may ask for. What the backward program needs of the forward one's intermediate
    results are further results of that.

    wanted: of each array among the arguments, whether its gradient is. So is that of each variable read that is trainable or on the open
    tape. Raises `Captured`.
    """

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Any, due: bool = False):
        self._function, self._wanted = fn, wanted
        super().__init__(functools.partial(self._forward, state.top.tapes[0]), args, kwargs, due=due)
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self._backward = None  # compiled when the first gradient is asked for

    def _forward(self, opened: Tape, /, *args: Any, **kwargs: Any) -> Any:
        """The function's results and what the backward program needs besides. opened: the tape that may ask for gradients."""
        is_asked = functools.partial(_is_asked, opened)
        trace, tape, reading = state.top, _Asking(is_asked), Reading(state.top, [opened])
        arrays = [t for t in tree.flatten((args, kwargs)) if type(t) is Tensor]
        sources = [t for t, w in zip(arrays, self._wanted) if w]
        with swapped(top=reading), tape:
            for t in sources:
                tape.follow(t)
            out = self._function(*args, **kwargs)
            leaves = tree.flatten(out)
            reading.see(leaves)
            ends = [value_of(x) for x in leaves if is_tensor(x)]
        if any(type(t.data) is not Value for t in reading.captured.values()):
            raise Captured
        self._is_float = [dtypes.is_float(t.dtype) or t.dtype in dtypes.COMPLEX for t in ends]
        ends = [t for t, f in zip(ends, self._is_float) if f]
        calls, first = trace.graph.calls, len(trace.graph.calls)
        seeds = [Tensor(Value(t.spec)) for t in ends]
        sources += [t for v, t in trace.reads.items() if is_asked(v)]
        grads = backward(tape.records, ends, seeds, sources, consume=True)
        self._has_gradient = [g is not None for g in grads]
        graph = Graph(calls=calls[first:], outputs=[g.data for g in grads if g is not None])
        del calls[first:]
        given = {id(t.data): ("argument", i) for i, t in enumerate(arrays)}
        given.update({id(t.data): ("variable", i) for i, t in enumerate(trace.reads.values())})
        own = {id(s.data) for s in seeds}
        needed = [v for v in graph.free_values() if id(v) not in own]
        graph.inputs = [*needed, *(s.data for s in seeds)]
        # where the backward program's inputs come from; None: from the forward one
        self._sources = [given.get(id(v)) for v in needed]
        self.gradient_graph = graph
        return out, [Tensor(v) for v, source in zip(needed, self._sources) if source is None]

    def current_flags(self) -> list[bool]:
        """Of each variable it reads, whether its gradient may be asked for."""
        return [_is_asked(state.top.tapes[0], v) for v in self.reads]

    def taped(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any], arrays: list[Any]) -> Any:
        """Run it on these arguments, whose leaves and arrays are given, and note the call as one on the open tape."""
        with locks.Held(self._locks):
            values = [v.tracked_value() for v in self.reads]
            out, kept = self(list(arrays))
        inputs = [leaf if type(leaf) is Tensor else owned(leaf) for leaf in filter(is_array, leaves)]
        tracked = [*inputs, *values]
        results = [t for t in tree.flatten(out) if type(t) is Tensor]

        def vjp(g, y, *xs):
            gs = g if type(g) is tuple else (g,)
            if state.top is not EAGER:  # a tape notes the gradient, or a trace takes it: op by op
                return self._differentiated(args, kwargs, xs, gs)
            return self._gradients(inputs, values, kept, results, gs)

        if results:
            record(CustomVjp(vjp), tuple(tracked), {}, tuple(results) if len(results) > 1 else results[0], state.top.tapes)
        return out

    def _gradients(self, inputs, values, kept, results, gs):
        if self._backward is None:
            self.gradient_graph.is_due = True
            self._backward = state.backend.compile(self.gradient_graph)
        kept = iter(kept)
        places = {"argument": inputs, "variable": values}
        arrays = [next(kept).data if s is None else places[s[0]][s[1]].data for s in self._sources]
        seeds = [g for g, is_float in zip(gs, self._is_float) if is_float]
        floats = [t for t, is_float in zip(results, self._is_float) if is_float]
        arrays += [(zeros(t.spec) if g is None else g).data for t, g in zip(floats, seeds)]
        found = map(Tensor, self._backward(arrays))
        found = iter([next(found) if has else None for has in self._has_gradient])
        of_arrays = [next(found) if w else None for w in self._wanted]
        return (*of_arrays, *(next(found) if asked else None for asked in self.flags))

    def _differentiated(self, args, kwargs, xs, gs):
        """The same as ops that tapes note: the function runs anew, on the values that its variables had."""
        n = len(self._wanted)

        def rerun(*tensors):
            given = iter(tensors[:n])
            again = tree.map_structure(lambda leaf: next(given) if is_array(leaf) else leaf, (args, kwargs))
            with Rerun(dict(zip(self.reads, tensors[n:]))):
                out = self._function(*again[0], **again[1])
            return tuple(value_of(x) for x in tree.flatten(out) if is_tensor(x))

        return vjp_of(rerun, xs, tuple(gs))
