"""From a graph to a program: a Python function of one line a kernel, which runs in memory laid out beforehand."""

import contextlib

from mlkit.backends.native.arena import Bound
from mlkit.backends.native.carried import Copies
from mlkit.backends.native.check import CheckedProgram
from mlkit.backends.native.prologue import Prologue
from mlkit.backends.native.select import as_eager, select
from mlkit.backends.native.source import Source
from mlkit.compiler.liveness import most_alive
from mlkit.compiler.passes import optimize
from mlkit.compiler.passes.carry import carry
from mlkit.compiler.passes.hoist import hoist
from mlkit.compiler.plan import Plan
from mlkit.compiler.timing import times_for
from mlkit.core import debug
from mlkit.core.executable import Executable
from mlkit.core.garbage_collection import uncollected
from mlkit.core.graph import Graph
from mlkit.core.ownership import held_among
from mlkit.core.program_cache import BYTES_OF_A_CALL

BYTES_OF_A_PRIMITIVE = 1 << 16  # measured: the code oneDNN makes for one


def compile_graph(backend, graph, inner=False):
    """A callable (arrays of the graph's inputs) -> arrays of its outputs.

    inner: the graph is the body of a control-flow op. It runs while its caller's plan does, so it gets memory of its own, and
    it returns no array that it was given.
    """
    if debug.CHECK:
        return CheckedProgram(backend, graph)
    with backend.device.tuning() if graph.is_tuned else contextlib.nullcontext():
        return _compiled(backend, graph, inner)


def _compiled(backend, graph, inner):
    if graph.is_due:
        backend.arena.expect(most_alive(graph))
    exact, name, copies = debug.EXACT, graph.name, None
    if backend.device.carries and not inner and not debug.is_off("carry"):
        graph, sources = carry(graph)
        copies = Copies(backend, sources, len(graph.inputs) - len(sources)) if sources else None
    graph = optimize(graph, backend.target, exact)
    first, rest = (None, graph) if debug.is_off("hoist") else hoist(graph)
    prologue = None
    if first is not None:
        numbers = {id(v): i for i, v in enumerate(graph.inputs)}
        prologue = Prologue(Program(backend, first, inner=True, exact=exact), [numbers[id(v)] for v in first.inputs])
    return Program(backend, rest, inner, exact, prologue, name, copies)


class Program(Executable):
    """A graph with what it is made into for the number of threads in force. prologue: what computes further inputs, or None; copies: those
    of variables that it takes and returns, or None; name: of the function that it was traced from."""

    def __init__(self, backend, graph, inner=False, exact=False, prologue=None, name="", copies=None):
        self.backend, self.inner, self.exact, self.prologue, self.copies = backend, inner, exact, prologue, copies
        self.times, self.name = times_for(graph, inner), name
        self._form = _Form(self, graph)

    def current(self):
        """Its form for the number of threads now in force: a function of the inputs' arrays, with `overwrites`."""
        form, device = self._form, self.backend.device
        device.enter()
        if form.epoch != device.epoch:
            form = self._form = _Form(self, form.plan.graph)
        return form

    def __call__(self, arrays):
        return self.current()(arrays)

    @property
    def plan(self):
        return self._form.plan

    @property
    def source(self):
        """The text that is run (printed by MLKIT_DEBUG=4)."""
        return self._form.source

    @property
    def nbytes(self):
        """About how many bytes it takes while it is not run, without the arena, which all programs of a thread share."""
        calls, choices = self.plan.graph.calls, self.plan.choices
        primitives = {id(p) for choice in choices for p in getattr(choice.prepared, "primitives", ())}
        own = self.plan.constant_bytes + BYTES_OF_A_CALL * len(calls) + BYTES_OF_A_PRIMITIVE * len(primitives)
        parts = [part for call in calls for p in call.params.values() if type(p) is Graph for part in p.programs.values()]
        parts += [self.prologue.program] if self.prologue is not None else []
        return own + (self.plan.arena_bytes if self.inner else 0) + sum(part.nbytes for part in parts)


class _Form(Executable):
    """The plan of a program's graph as Python source, and, per thread where threads have memory of their own, that source bound to
    arrays in an arena.

    overwrites: as the plan has it, of the inputs that the caller gives; epoch: that of the number of threads it is made for.
    """

    def __init__(self, program, graph):
        self.backend, self.inner, self.exact = program.backend, program.inner, program.exact
        self.prologue, self.copies, self.times, self.name = program.prologue, program.copies, program.times, program.name
        self.epoch = self.backend.device.epoch
        self.backend.device.prepare()  # before primitives are made: some have the number of threads in them
        choose = as_eager if self.exact else select
        self.plan = Plan(graph, lambda call, operand: choose(self.backend, call, operand), own_outputs=self.inner)
        self.overwrites = [i for i in self.plan.overwrites if self.copies is None or i < self.copies.first]
        self._written = Source(
            self.backend, self.plan, [f"i{i}" for i in range(len(graph.inputs))], ticks=self.times is not None, parted=True
        )
        self.source = _function(self._written, self.plan)
        self._code = compile(self.source, "<plan>", "exec")
        self._local = self.backend.device.local()
        if debug.LEVEL >= 4:
            debug.say(f"source of the plan\n{self.source}")

    def __call__(self, arrays):
        if self.copies is not None:
            arrays.extend(self.copies.take(arrays))
        if self.prologue is not None:
            arrays.extend(self.prologue.results(arrays))
        device = self.backend.device
        for i in device.elsewhere(arrays):
            arrays[i] = self.backend.adopt(arrays[i])
            self.moved = True
        if not self.exact:  # then sums depend on how what they add lies in memory
            for i in device.scattered(arrays):
                arrays[i] = device.dense(arrays[i])
        shared = {*held_among(arrays, self.plan.overwrites), *device.borrowed(arrays, self.plan.overwrites)}
        for i in shared:  # there are others who can see its memory
            arrays[i] = device.xp.array(arrays[i], order="C")
        if self.overwrites:
            device.written([arrays[i] for i in self.overwrites])
        bound = getattr(self._local, "bound", None)
        run = bound and bound.run
        if run is not None:
            results = run(arrays)
        else:
            bound = self._local.bound = self._bind()
            results = bound.run(arrays)
            self.backend.device.settle(bound.block)  # now that its pages have come in
        if self.copies is not None:
            self.copies.keep(results)
        return results

    @uncollected()
    def _bind(self):
        """Make the arrays in the arena, and the function that uses them."""
        device = self.backend.device
        device.prepare()
        size = max(self.plan.arena_bytes, 1)
        bound = Bound()
        with device.lock:
            device.check_room(self.plan, self.name)
            if self.inner or device.keeps_apart(self.plan):
                bound.block = device.reserve(size)
            else:
                self.backend.arena.lend(bound, size)
        env = dict(self._written.environment(bound.block), tick=self.times and self.times.tick)
        exec(self._code, env)
        run = env.pop("run")  # popped: no cycle keeps the old arrays alive
        bound.run = device.runner(run, self.plan, whole=not self.inner and self.times is None)
        return bound


def _function(source, plan):
    """The text of a function of a list of the inputs' arrays that returns those of the outputs."""
    inputs, lines = [source.name(v) for v in plan.graph.inputs], source.lines()
    names = map(source.name, plan.graph.outputs)
    outs = [f"array({name})" if i in plan.copies else name for i, name in enumerate(names)]
    lines = [*(["tick(-1)"] if source.ticks else []), *lines, f"return [{', '.join(outs)}]"]
    head = f"{', '.join(inputs)}, = inputs" if inputs else "pass"
    body = "\n".join(f"    {line}" for line in lines)
    return f"def run(inputs):\n  {head}\n  {source.block()}:\n{body}\n"
