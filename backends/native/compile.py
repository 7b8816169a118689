"""From a graph to a program: a Python function of one line a kernel, which runs in memory laid out beforehand."""

import functools

import numpy as np

from mlkit.backends.native.arena import Bound
from mlkit.backends.native.carried import Copies
from mlkit.backends.native.check import CheckedProgram
from mlkit.backends.native.elementwise_out import typed_scalars
from mlkit.backends.native.prologue import Prologue
from mlkit.backends.native.select import as_eager, select
from mlkit.compiler.liveness import most_alive
from mlkit.compiler.passes import optimize
from mlkit.compiler.passes.carry import carry
from mlkit.compiler.passes.hoist import hoist
from mlkit.compiler.plan import Plan
from mlkit.compiler.timing import times_for
from mlkit.core import debug, dtypes
from mlkit.core.backend import Executable
from mlkit.core.garbage_collection import uncollected
from mlkit.core.graph import Graph
from mlkit.core.ownership import held_elsewhere
from mlkit.core.program_cache import BYTES_OF_A_CALL
from mlkit.core.tensor import Value, as_arrays

BYTES_OF_A_PRIMITIVE = 1 << 16  # measured: the code oneDNN makes for one


def compile_graph(backend, graph, inner=False):
    """A callable (arrays of the graph's inputs) -> arrays of its outputs.

    inner: the graph is the body of a control-flow op. It runs while its caller's plan does, so it gets memory of its own, and
    it returns no array that it was given.
    """
    if debug.CHECK:
        return CheckedProgram(backend, graph)
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
        writer = _Writer(self.backend, self.plan, ticks=self.times is not None)
        self.source, self._names, self._views, self._bindings = writer.source(), writer.names, writer.views, writer.bindings
        self._code = compile(self.source, "<plan>", "exec")
        self._local = self.backend.device.local()
        if debug.LEVEL >= 4:
            debug.say(f"source of the plan\n{self.source}")

    def __call__(self, arrays):
        if self.copies is not None:
            arrays.extend(self.copies.take(arrays))
        if self.prologue is not None:
            arrays.extend(self.prologue.results(arrays))
        own = self.backend.array_type
        for i in range(len(arrays)):  # by number: a name for an array would hold it, and then nobody could write into it
            if type(arrays[i]) is not own:
                arrays[i] = self.backend.adopt(arrays[i])
                self.moved = True
            if not arrays[i].flags.c_contiguous and not self.exact:  # else: sums depend on how what they add lies in memory
                arrays[i] = self.backend.xp.ascontiguousarray(arrays[i])
        for i in self.plan.overwrites:
            arrays[i] = _exclusive(arrays, i, self.backend.device)
        if self.overwrites:
            self.backend.device.written([arrays[i] for i in self.overwrites])
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
        env = dict(self._names, tick=self.times and self.times.tick)
        for name, (offset, shape, strides, dtype) in self._views.items():
            env[name] = device.view(bound.block, shape, dtype, offset, strides)
        for name, (prepared, arrays) in self._bindings.items():
            env[name] = prepared.bind([env.get(a) if type(a) is str else a for a in arrays])
        exec(self._code, env)
        run = env.pop("run")  # popped: no cycle keeps the old arrays alive
        bound.run = device.runner(run, self.plan, whole=not self.inner and self.times is None)
        return bound


def _exclusive(arrays, i, device):
    """An array whose memory nobody else can see: the one in the list if only the list and the variable it came from hold it."""
    shared = held_elsewhere(arrays, i)
    a = arrays[i]
    return device.xp.array(a, order="C") if shared or not device.owns(a) else a


class _Writer:
    """Writes the source of a plan.

    names: what it refers to; views: name -> (offset, shape, strides, dtype) in the arena; bindings: name -> (what is to be
    bound, names of its arrays, or the arrays, or None).
    """

    def __init__(self, backend, plan, ticks=False):
        self.backend, self.plan, self.ticks = backend, plan, ticks  # ticks: whether to note the time after each call
        xp, device, fail = backend.xp, backend.device, functools.partial(_fail, plan.graph)
        self.names = {"empty": xp.empty, "array": xp.array, "quiet": device.quiet, "fail": fail, "alone": device.alone}
        self.views, self._view_names, self.bindings = {}, {}, {}
        self._seen = _seen_by_kernels(plan)
        self._of_value = {}  # id of a Value -> its name
        self._held = {}  # storage -> names of variables that keep it alive
        self._constants = {}

    def source(self):
        graph = self.plan.graph
        lines = []
        for i, v in enumerate(graph.inputs):
            self._of_value[id(v)] = f"i{i}"
        dying = {}
        for s in self.plan.storages():
            if s.kind in ("made", "fresh", "arena") and s.last < len(graph.calls):
                dying.setdefault(s.last, []).append(s)
        for i, (call, choice) in enumerate(zip(graph.calls, self.plan.choices)):
            line = self._call(i, call, choice)
            done = [n for s in dying.get(i, ()) for n in self._held.pop(s, ())]
            if line:
                line += f"; {' = '.join(done)} = None" if done else ""
                lines.append(line + (f"; tick({i})" if self.ticks else ""))
            elif done:
                lines.append(f"{' = '.join(done)} = None")
        outs = [f"array({self._name(v)})" if i in self.plan.copies else self._name(v) for i, v in enumerate(graph.outputs)]
        lines.append(f"return [{', '.join(outs)}]")
        head = f"{', '.join(self._of_value[id(v)] for v in graph.inputs)}, = inputs" if graph.inputs else "pass"
        start = ["tick(-1)"] if self.ticks else []
        body = "\n".join(f"    {line}" for line in [*start, *lines])
        return f"def run(inputs):\n  {head}\n  {self._block()}:\n{body}\n"

    def _block(self):
        """What the calls are made within."""
        of_numpy = [
            call
            for call, choice in zip(self.plan.graph.calls, self.plan.choices)
            if choice.prepared is None and not self.plan.is_view(call)
        ]
        if not of_numpy:
            return "if True"
        quiet = "with quiet(all='ignore')"  # IEEE arithmetic defines what NumPy warns of
        is_mixed = any(choice.prepared is not None for choice in self.plan.choices)
        return f"{quiet}, alone" if is_mixed and any(map(self._may_use_blas, of_numpy)) else quiet

    def _may_use_blas(self, call):
        return call.op.name not in self.backend.out_kernels and not self.backend.target.can_chain(call)

    # ---- one call ----------------------------------------------------------------------------------------------------

    def _call(self, i, call, choice):
        """The line of a call; empty if there is nothing to do when the plan is run."""
        if not call.outs:  # a loop of which nothing is wanted
            return ""
        places = [self.plan.place(v) for v in call.outs]
        if self.plan.is_view(call) and (places[0].is_static or id(call.outs[0]) not in self._seen):
            return ""
        if not choice.writes or self.plan.is_view(call):
            outs = ", ".join(self._variable(v, f"v{i}_{j}") for j, v in enumerate(call.outs))
            run = choice.kernel if all(v.shape for v in call.outs) else _giving_arrays(choice.kernel)
            kernel = self._constant(f"{_identifier(call.op.name)}_{i}", run)
            return f"{outs}{',' if call.is_tuple else ''} = {kernel}({self._arguments(call.args, choice, i)})"
        prepare, outs = [], []
        for j, (v, place) in enumerate(zip(call.outs, places)):
            if not place.is_static:
                owner = place.storage.owner
                name = self._variable(v, f"v{i}_{j}")
                here = self._of_value[id(owner)] if owner is not v else None  # in place of a kernel's own result
                prepare.append(f"{name} = {here or self._empty(v)}; ")
            outs.append(self._name(v))
        if choice.prepared is not None:
            return f"{''.join(prepare)}{self._bound(i, call, choice.prepared)}"
        out = f"({', '.join(outs)},)" if call.is_tuple else outs[0]
        kernel = self._constant(f"{_identifier(call.op.name)}_{i}", choice.into)
        args = (
            typed_scalars(call.op, call.args, call.outs[0].dtype, self.backend.device.scalar) if choice.inplace else call.args
        )
        room = f"scratch={self._scratch(i)}" if i in self.plan.workspaces else None
        return f"{''.join(prepare)}{kernel}({', '.join(filter(None, [self._arguments(args, choice, i), f'out={out}', room]))})"

    def _bound(self, i, call, prepared):
        """The call of something bound to memory, with the arrays that are known only now."""
        fixed, given = [], []
        for a in (*call.args, *call.outs):
            if type(a) is not Value:
                fixed.append(a if hasattr(a, "shape") else None)
            elif self.plan.place(a).is_static:
                fixed.append(self._name(a))
            else:
                place = self.plan.place(a)
                fixed.append(None)
                given.append(self._name(a if place.strides is None else place.storage.owner))
        if i in self.plan.workspaces:
            fixed.append(self._scratch(i))
        name = f"{_identifier(call.op.name)}_{i}"
        self.bindings[name] = prepared, fixed
        return f"{name}({', '.join(given)}) and fail({i})"

    def _scratch(self, i):
        """The name of the temporary memory of a call."""
        storage = self.plan.workspaces[i]
        return self._arena_view(storage.offset, (storage.nbytes,), (1,), "uint8")

    def _arguments(self, args, choice, i):
        named = [f"{k}={self._parameter(p, f'{k}_{i}')}" for k, p in choice.params.items()]
        return ", ".join([*map(self._name, args), *named])

    def _variable(self, v, name):
        """A variable of the function for a Value whose array is known only when it runs."""
        self._of_value[id(v)] = name
        self._held.setdefault(self.plan.place(v).storage, []).append(name)
        return name

    def _empty(self, v):
        return f"empty({v.shape}, {self._constant(f'dtype_{v.dtype}', dtypes.as_numpy(v.dtype))})"

    # ---- names -------------------------------------------------------------------------------------------------------

    def _name(self, a):
        if type(a) is Value:
            return self._of_value.get(id(a)) or self._view(a)
        if _is_literal(a):
            return repr(a)
        if id(a) not in self._constants:
            self._constants[id(a)] = self._constant(f"c{len(self._constants)}", a)
        return self._constants[id(a)]

    def _view(self, v):
        """The name of a fixed array in the arena; equal views have one array, which tells kernels that they work in place."""
        place = self.plan.place(v)
        self._of_value[id(v)] = self._arena_view(place.storage.offset + place.offset, v.shape, place.strides, v.dtype)
        return self._of_value[id(v)]

    def _arena_view(self, *key):
        if key not in self._view_names:
            self._view_names[key] = f"b{len(self.views)}"
            self.views[self._view_names[key]] = key
        return self._view_names[key]

    def _parameter(self, p, name):
        return repr(p) if _is_literal(p) else self._constant(name, p)

    def _constant(self, name, value):
        self.names[name] = value
        return name


def _fail(graph, i):
    call = graph.calls[i]
    raise RuntimeError(f"{call.op.name}{' in ' + '/'.join(call.place) if call.place else ''}: the kernel failed.")


def _giving_arrays(kernel):
    return lambda *args, **params: as_arrays(kernel(*args, **params))


def _seen_by_kernels(plan):
    """ids of the Values whose arrays must be there when the plan runs: all but views that only bound kernels use, which know
    where in the whole they lie."""
    seen = {id(v) for v in plan.graph.outputs}
    for call, choice in zip(reversed(plan.graph.calls), reversed(plan.choices)):
        if choice.prepared is not None:
            seen.update(id(a) for a in call.args if type(a) is Value and plan.place(a).strides is None)
        elif not plan.is_view(call) or id(call.outs[0]) in seen:
            seen.update(id(a) for a in call.args if type(a) is Value)
    return seen


def _is_literal(p):
    if type(p) is tuple:
        return all(map(_is_literal, p))
    return p is None or type(p) in (bool, int, str) or (type(p) is float and np.isfinite(p))


def _identifier(name):
    return f"{name}_" if name in ("and", "or", "not", "while") else name
