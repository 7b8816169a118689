"""Loops in plans: the body's kernels are bound to memory once, and called in a loop whose source is written when it is bound.

The memory of a loop, which its caller's plan has a place for, holds the arena of its body. There what is carried lies, from turn to turn
at the same place. Slices of what is scanned are looked at where they lie, and results are written where they are stacked.
"""

import contextlib
import functools

import numpy as np

from mlkit.backends.native.denormals import Flushed
from mlkit.backends.native.onednn import kernel_steps
from mlkit.backends.native.operand_views import dense, seen
from mlkit.backends.native.select import select
from mlkit.backends.native.source import Source, is_small
from mlkit.compiler.body_plan import BodyPlan
from mlkit.compiler.passes import optimize
from mlkit.compiler.plan import ALIGNMENT
from mlkit.core import debug
from mlkit.core.deferred import Deferred
from mlkit.core.tensor import Value

native_loop = Deferred("mlkit.backends.native.jit.loop")  # most programs have no loop


class Loop:
    """A loop made ready for operands of known places: the base of `Scan` and `While`. It is prepared as `table.Rows` has it."""

    inplace = ()

    def __init__(self, backend, operands, outs, params, bodies):
        """bodies: (graph, number of slices, of what is carried, numbers of its operands in the order of its inputs) for each."""
        self.backend, self.operands, self.outs, self.params = backend, operands, outs, params
        self.plans, self._of_inputs = [], []
        for graph, slices, carry, numbers in bodies:
            steady = [i for i, k in enumerate(numbers) if i >= slices + carry and getattr(operands[k], "steady", False)]
            graph = optimize(graph, backend.target)
            self.plans.append(BodyPlan(graph, functools.partial(select, backend), slices, carry, steady))
            self._of_inputs.append(numbers)
        self.native = native_loop.prepared(self.kind, backend, operands, self.params)
        self._of_python = sum(_padded(plan.arena_bytes) for plan in self.plans)
        self.workspace = max(self._of_python, self.native.nbytes if self.native is not None else 0)

    @property
    def primitives(self):
        """Those that the bodies are made of."""
        for plan in self.plans:
            for choice in plan.choices:
                yield from getattr(choice.prepared, "primitives", ())

    @property
    def is_small(self):
        """Whether one thread is enough for all that is bound to memory."""
        return all(is_small(c.prepared) for plan in self.plans for c in plan.choices if c.prepared is not None)

    @property
    def _has_bound(self):
        return any(choice.prepared is not None for plan in self.plans for choice in plan.choices)

    # ---- binding -----------------------------------------------------------------------------------------------------

    def bind(self, arrays):
        """A function of the arrays that are None here, which runs the loop."""
        n = len(self.operands)
        block = arrays[-1] if self.workspace else None
        self._head, self._env, given = [], {}, []
        for k, operand in enumerate(self.operands):
            name = f"a{k}"
            if not hasattr(operand, "shape"):
                self._env[name] = np.asarray(operand)
            elif arrays[k] is not None:
                self._env[name] = arrays[k]
            else:
                given.append(name)
                self._head.append(f"{name} = seen({name}, operands[{k}])")
        for i, result in enumerate(arrays[n : n + len(self.outs)]):
            if result is None:
                given.append(f"r{i}")
            else:
                self._env[f"r{i}"] = result
        self._env.update(flushed=Flushed, one_thread=kernel_steps.OneThread, seen=seen, dense=dense, operands=self.operands)
        text = "\n".join([f"def run({', '.join(given)}):", *(f"  {line}" for line in self._lines(block))])
        if debug.LEVEL >= 4:
            debug.say(f"source of a loop\n{text}")
        exec(compile(text, "<loop>", "exec"), self._env)
        run = self._env.pop("run")
        return run if self.native is None else self.native.bind(run, arrays[: n + len(self.outs)], block)

    def _lines(self, block):
        raise NotImplementedError

    def _source(self, i, fixed=None, given=None, slices=()):
        """The Source of one body. fixed: arrays of inputs, given: expressions for memory of outputs, by ids; slices: names of its first
        inputs, None for those that have a place."""
        plan, numbers = self.plans[i], self._of_inputs[i]
        fixed, names = dict(fixed or {}), [*slices]
        for v, k in zip(plan.graph.inputs[len(slices) :], numbers[len(slices) :]):
            array = self._env.get(f"a{k}")
            if id(v) in fixed or plan.place(v).is_static:
                names.append(None)
            elif array is not None and array.flags.c_contiguous:
                names.append(None)
                fixed[id(v)] = array
            else:
                names.append(self._dense(k))
        return Source(self.backend, plan, names, fixed, given, prefix=f"p{i}_")

    def _dense(self, k):
        """The name of an operand whose elements lie one behind the other, as kernels that are bound to it expect."""
        name = f"d{k}"
        line = f"{name} = dense(a{k})"
        if line not in self._head:
            self._head.append(line)
        return name

    def _bound(self, source, block, i):
        """Put what a source refers to where its lines find it."""
        with kernel_steps.bound_for_one_thread() if self.is_small else contextlib.nullcontext():
            self._env.update(source.environment(block, sum(_padded(plan.arena_bytes) for plan in self.plans[:i])))

    def _within(self, sources, lines):
        """The lines within what they are to run in."""
        blocks = {source.block() for source in sources}
        threads = ", one_thread()" if self.is_small and self._has_bound else ""
        return [f"with flushed(){threads}:", f"  {max(blocks, key=len)}:", *(f"    {line}" for line in lines)]


class Scan(Loop):
    """`scan` of `primitives.control`."""

    kind = "scan"

    def __init__(self, backend, operands, outs, params):
        body, xs, carry = params["body"], params["xs"], params["carry"]
        super().__init__(backend, operands, outs, params, [(body, xs, carry, range(len(operands)))])

    def _lines(self, block):
        (plan,) = self.plans
        xs, carry, length = (self.params[k] for k in ("xs", "carry", "length"))
        inputs, outputs = plan.graph.inputs, plan.graph.outputs
        slices = [None if plan.place(v).is_static else f"x{k}" for k, v in enumerate(inputs[:xs])]
        given = {id(outputs[j]): f"r{j}[t]" for j in plan.direct}
        source = self._source(0, given=given, slices=slices)
        states = [source.name(v) for v in plan.carried]
        used = {id(a) for call in plan.graph.calls for a in call.inputs} | set(map(id, outputs))
        turn = [f"r{len(outputs) + k}[t] = {s}" for k, s in enumerate(states)] if self.params["save"] else []
        for k, v in enumerate(inputs[:xs]):
            if id(v) in used:
                turn.append(f"{source.name(v)}[...] = a{k}[t]" if slices[k] is None else f"x{k} = a{k}[t, ...]")
        turn += source.lines()
        turn += [f"r{j}[t] = {source.name(outputs[j])}" for j in range(carry, len(outputs)) if j not in plan.direct]
        turn += _moves(plan, source)
        start = [f"{s}[...] = a{xs + k}" for k, s in enumerate(states)]
        steps = f"range({length - 1}, -1, -1)" if self.params["reverse"] else f"range({length})"
        loop = self._within([source], [f"for t in {steps}:", *(f"  {line}" for line in turn or ["pass"])])
        end = [f"r{k}[...] = {s}" for k, s in enumerate(states)]
        self._bound(source, block, 0)
        return [*self._head, *start, *loop, *end]


class While(Loop):
    """`while` of `primitives.control`."""

    kind = "while"

    def __init__(self, backend, operands, outs, params):
        test, body, n = params["test"], params["body"], params["state"]
        others = len(test.inputs) - n
        of_test = [*range(n + others)]
        of_body = [*range(n), *range(n + others, len(operands))]
        super().__init__(backend, operands, outs, params, [(body, 0, n, of_body), (test, 0, 0, of_test)])

    def _lines(self, block):
        plan, test = self.plans
        body = self._source(0)
        states = [body.name(v) for v in plan.carried]
        turn = body.lines() + _moves(plan, body)
        self._bound(body, block, 0)
        asked = self._source(1, fixed={id(v): self._env[s] for v, s in zip(test.graph.inputs, states)})
        before = [*asked.lines(), f"if not {asked.name(test.graph.outputs[0])}: break"]
        self._bound(asked, block, 1)
        start = [f"{s}[...] = a{k}" for k, s in enumerate(states)]
        loop = self._within([body, asked], ["while True:", *(f"  {line}" for line in [*before, *turn])])
        end = [f"r{k}[...] = {s}" for k, s in enumerate(states)]
        return [*self._head, *start, *loop, *end]


def _moves(plan, source):
    """Lines that bring new values of what is carried to their places, all as if at once."""
    waiting = {source.name(plan.carried[k]): source.name(new) for k, new in plan.late}
    reads = {}  # name of a place -> those of the carried values' places that it is a part of
    places = {id(plan.place(v).storage): source.name(v) for v in plan.carried}
    for _, new in plan.late:
        if type(new) is Value:
            reads[source.name(new)] = places.get(id(plan.place(new).storage))
    waiting = {target: name for target, name in waiting.items() if target != name}
    lines = []
    while waiting:
        free = [t for t in waiting if all(reads.get(n) != t for other, n in waiting.items() if other != t)]
        if free:
            lines.append(f"{free[0]}[...] = {waiting.pop(free[0])}")
        else:  # they go round: one is kept before something else is written there
            target = next(iter(waiting))
            lines.insert(0, f"m{len(lines)} = array({waiting[target]})")
            waiting[target] = f"m{len(lines) - 1}"
    return lines


def _padded(nbytes):
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class LoopRow:
    """The row of an op whose parameters are the bodies of a loop, in plans."""

    def __init__(self, device, name, kind):
        self.device, self.name, self.kind = device, name, kind

    def accepts(self, *args, **params):
        return True

    def __call__(self, *args, **params):
        return NotImplemented

    def prepare(self, operands, outs, params):
        return self.kind(self.device.backend, operands, outs, params)


def rows(device):
    """Those of all loops."""
    return [LoopRow(device, "scan", Scan), LoopRow(device, "while", While)]
