"""Tracing: run a Python function once on symbols, keep the graph, and run that graph from then on."""

import sys
import weakref

import numpy as np

from mlkit.core import debug, dtypes, locks, tree
from mlkit.core.call import CallContext
from mlkit.core.garbage import uncollected
from mlkit.core.graph import Graph
from mlkit.core.interpreter import EAGER, Composed, Interpreter, symbolic, wrap
from mlkit.core.ownership import held_elsewhere
from mlkit.core.program_cache import cache, uses
from mlkit.core.retraces import Retraces
from mlkit.core.spec import ShapesDiffer, Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Symbol, Tensor, Value
from mlkit.core.variable import BaseVariable


class Trace(Interpreter):
    """A graph under construction, with the variables read (graph inputs) and assigned (graph outputs) on the way."""

    assigns = False

    def __init__(self, graph=None):
        self.graph = graph or Graph()
        self.reads = {}  # variable -> the Tensor that stands for its value at the start
        self.writes = {}  # variable -> the Tensor last assigned to it

    @property
    def trace(self):
        return self

    def input(self, spec):
        """A Tensor that stands for a new input of the graph."""
        value = Value(spec)
        self.graph.inputs.append(value)
        return Tensor(value)

    def apply(self, op, args, params):
        """Add a call to the graph; one with an argument that is known by its spec only has a result of that kind."""
        data = []
        for a in args:
            if type(a) is Tensor:
                if type(a.data) is Spec:
                    return symbolic(op, args, params)
                a = self.data_of(a)
            data.append(a)
        try:
            return wrap(self.graph.add(op, data, params))
        except ShapesDiffer as refusal:
            raise Composed(refusal) from None

    def data_of(self, tensor):
        """What the graph holds for a tensor."""
        return tensor.data

    def read(self, variable):
        """The variable's value at this point."""
        return self.writes[variable] if variable in self.writes else self.read_first(variable)

    def read_first(self, variable):
        """The variable's value at the start."""
        if variable not in self.reads:
            self.reads[variable] = Tensor(Value(variable._value.spec), variable._value.node)
        return self.reads[variable]

    def write(self, variable, tensor):
        self.writes[variable] = Tensor(tensor.data, variable._value.node)


def trace_into(graph, place=()):
    """A block whose ops are staged at the end of an existing graph, untaped, in the name of the layers in `place`."""
    return swapped(top=Trace(graph), call=CallContext(place))


class Traced:
    """A function that is traced once per signature and then replayed as one compiled program.

    A signature is the specs of its tensors, the values of all other arguments, the backend, whether programs are to be exact, what
    `key()` returns, and which of the variables it reads are trainable.
    """

    def __init__(self, fn, key=None):
        self.fn, self.key = fn, key
        self.programs = {}  # signature -> list of Programs
        self._dropped = set()  # hashes of signatures whose programs were dropped
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.__module__ = getattr(fn, "__module__", None)
        self._retraces = Retraces(self.__name__)

    def __reduce_ex__(self, protocol):
        """Where a function was decorated, its name stands for what became of it: pickles and copies hold that, as of any function."""
        name = getattr(self.fn, "__qualname__", None)
        named = getattr(sys.modules.get(self.__module__), name, None) if name else None
        return name if named is self else super().__reduce_ex__(protocol)

    def __getstate__(self):
        """What copies and pickles hold: not the programs, which are made anew when they are needed."""
        return {"fn": self.fn, "key": self.key}

    def __setstate__(self, own):
        self.__init__(**own)

    @property
    def traces(self):
        """How often it was traced."""
        return self._retraces.count

    def __call__(self, *args, **kwargs):
        leaves = tree.flatten((args, kwargs))
        if state.top is not EAGER or debug.EAGER or any(map(_is_symbolic, leaves)):
            return self.fn(*args, **kwargs)  # the trace, the tape or the scope must see its ops
        program, arrays = self._program(args, kwargs, leaves, due=True)
        program.used = next(uses)
        return program(arrays)

    def _program(self, args, kwargs, leaves, due=False):
        """The program for these arguments, and the arrays among them. due: it will be run at once."""
        arrays, kinds = [], []
        for leaf in leaves:
            if is_array(leaf):
                t = leaf if type(leaf) is Tensor else _borrowed(leaf)
                arrays.append(t.data)
                kinds.append((Tensor, t.shape, t.dtype))
            else:
                kinds.append((type(leaf), leaf))  # 1, 1.0 and True are equal, but not the same
        surroundings = state.backend.name, state.device, state.call.autocast, state.call.training, debug.EXACT
        own = self.key() if self.key else None
        key = tuple(kinds), _form(args), _form(kwargs), surroundings, own
        try:
            program = self._find(key)
        except TypeError:
            raise TypeError(
                f"{self.__name__}: the arguments of a compiled function must be tensors, arrays or hashable values, but one of "
                f"{sorted({k[0].__name__ for k in kinds})} is none of these."
            ) from None
        if program is None:
            with locks.making:
                program = self._find(key)  # another thread may have been quicker
                if program is None:
                    program = self._make(key, args, kwargs, due)
        return program, arrays

    def _find(self, key):
        return next((p for p in self.programs.get(key, ()) if p.fits()), None)

    def _make(self, key, args, kwargs, due):
        program = Program(self.fn, args, kwargs, due=due)
        *_, (backend, device, autocast, training, exact), own = key
        others = {"the backend": backend, "the device": device, "autocast": autocast, "training": training, "exact": exact}
        self._retraces.note(self.fn, args, kwargs, {**others, "the key": own, "which variables are trainable": program.flags})
        self.programs.setdefault(key, []).append(program)
        program.home = weakref.ref(self), key
        cache.add(program, again=hash(key) in self._dropped)
        return program

    def forget(self, program, key):
        """Drop a program, which is made anew if it is needed again."""
        self._dropped.add(hash(key))
        kept = [p for p in self.programs.pop(key, ()) if p is not program]
        if kept:
            self.programs[key] = kept

    def program(self, *args, **kwargs):
        """The Program that a call with these arguments (tensors, arrays or Specs) runs; it is not run."""
        return self._program(args, kwargs, tree.flatten((args, kwargs)))[0]

    def memory_report(self, *args, **kwargs):
        """The memory that a call with these arguments takes, as text, known without running it."""
        return self.program(*args, **kwargs).plan.report()

    def graph(self, *args, **kwargs):
        """The traced graph for these arguments, before any pass, to read or print."""
        return Program(self.fn, args, kwargs, compiled=False).graph


def function(fn=None, *, key=None):
    """Compile a function of tensors: its first call traces it to a graph, later calls with the same shapes run the graph.

    Python code in it runs only while tracing; do not branch on values (use `ops.cond`). Variables may be read and assigned.
    key: callable whose (hashable) result is part of the signature.

    >>> import mlkit
    >>> f = mlkit.function(lambda x: mlkit.ops.sum(x * x))
    >>> float(f(mlkit.ops.ones((3,))))
    3.0
    """
    return (lambda f: Traced(f, key)) if fn is None else Traced(fn, key)


class Program:
    """One trace of a function, compiled: inputs are its array arguments followed by the variables it reads."""

    @uncollected()
    def __init__(self, fn, args, kwargs, compiled=True, due=False):
        trace = Trace()

        def symbol(leaf):
            return trace.input(_borrowed(leaf).spec) if is_array(leaf) else leaf

        with swapped(top=trace):
            inputs = tree.map_structure(symbol, (args, kwargs))
            out = fn(*inputs[0], **inputs[1])
        leaves = tree.flatten(out)
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self.reads, self.writes = list(trace.reads), list(trace.writes)
        self.flags = [v.trainable for v in self.reads]
        self.static = [None if is_tensor(x) else (x,) for x in leaves]
        self.out = tree.map_structure(lambda x: None, out)  # the form only: the leaves would keep the trace alive
        results = [(trace.read(x) if isinstance(x, BaseVariable) else x).data for x in leaves if is_tensor(x)]
        self.graph = trace.graph
        first = len(self.graph.inputs)
        self.graph.inputs += [t.data for t in trace.reads.values()]
        self.graph.state, self.graph.is_due = len(self.reads), due
        self.graph.outputs = results + [t.data for t in trace.writes.values()]
        place = {v: first + i for i, v in enumerate(self.reads)}
        self.graph.successors = {place[v]: len(results) + i for i, v in enumerate(self.writes) if v in place}
        if debug.LEVEL >= 1:
            debug.say(f"traced {self.name}: {len(self.graph.calls)} calls, {len(self.graph.inputs)} inputs")
        self.run = state.backend.compile(self.graph) if compiled else None
        self.nbytes = self.run.nbytes if compiled else 0
        self.home = None  # the function that keeps it, weakly, and its signature there
        self.used = next(uses)  # when that was last
        self._locks = [v.lock for v in dict.fromkeys([*self.reads, *self.writes])]

    @property
    def plan(self):
        """The Plan of its memory."""
        plan = self.run.plan
        if plan is None:
            raise NotImplementedError(f"memory_report: the {state.backend.name} backend does not plan memory itself.")
        return plan

    def fits(self):
        """Whether the variables it reads are trainable or not as they were when it was traced."""
        return all(v.trainable is f for v, f in zip(self.reads, self.flags))

    def drop(self):
        """Have its function forget it."""
        function, key = self.home
        if function() is not None:
            function().forget(self, key)

    def __repr__(self):
        inputs = self.graph.inputs[: len(self.graph.inputs) - self.graph.state]
        return f"{self.name}({', '.join(f'{v.dtype}{list(v.shape)}' for v in inputs)})"

    def __call__(self, arrays):
        """Run it. What it reads is of one moment, and nobody else changes it before all is written."""
        if self.writes:
            with locks.Writing(self._locks):
                return self._run_alone(arrays)
        values = locks.together(self._values, self._locks)  # held to the end, so that nobody else writes into their memory
        arrays += [t.data for t in values]
        return self._packed(self.run(arrays))

    def _run_alone(self, arrays):
        run, values, first = self.run.current(), self._values(), len(arrays)
        arrays += [t.data for t in values]
        taken, nodes = [i - first for i in run.overwrites], [v._value.node for v in self.writes]
        try:
            for k in taken:
                del self.reads[k]._value  # who reads it now waits; so that nobody gets hold of what is going to be overwritten
                if held_elsewhere(values, k, owners=0):
                    arrays[first + k] = state.backend.own(values[k].data)
            results = run(arrays)
        except BaseException:
            for k in taken:
                vars(self.reads[k]).setdefault("_value", values[k])
            raise
        n = len(results) - len(self.writes)
        for v, a, node in zip(self.writes, results[n:], nodes):
            v._value = Tensor(a, node)
        return self._packed(results[:n])

    def _values(self):
        return [v._value for v in self.reads]

    def _packed(self, results):
        """What the function returns, of the arrays among it."""
        tensors = iter(results)
        return tree.pack_sequence_as(self.out, [s[0] if s else Tensor(next(tensors)) for s in self.static])


def _is_symbolic(x):
    return (type(x) is Tensor and type(x.data) is Spec) or isinstance(x, Symbol)


def is_tensor(x):
    return type(x) is Tensor or isinstance(x, BaseVariable)


def is_array(x):
    """Whether an argument of a traced function is data (becomes a graph input) rather than part of the signature."""
    return type(x) is Tensor or type(x) is Spec or isinstance(x, (np.ndarray, np.generic))


def _borrowed(x):
    """An array among the arguments as a Tensor for one run; a Spec as one without a value."""
    if type(x) is Tensor:
        return x
    if type(x) is Spec:
        return Tensor(x)
    return Tensor(state.backend.borrow(x, dtypes.name_of(x.dtype)))


def _form(structure):
    """A hashable description of how a structure is nested."""
    if isinstance(structure, dict):
        return tuple((k, _form(v)) for k, v in structure.items())
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, *map(_form, structure))
    return None
