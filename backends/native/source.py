"""The source of a plan: one line of Python for each kernel that is to be called, and what these lines refer to."""

import contextlib
import functools

import numpy as np

from mlkit.backends.native.elementwise_out import typed_scalars
from mlkit.core import dtypes
from mlkit.core.tensor import Value, as_arrays


class Source:
    """The lines of a plan's calls.

    inputs: names of the graph's inputs; fixed: arrays that are known already, by the ids of inputs; given: by the ids of results,
    expressions for memory that they are to be written in, where they lie outside of the arena; prefix: of all names, so that several
    plans can have one source; ticks: whether to note the time after each call; parted: whether to leave calls that are small, one after the
    other, to one thread.

    names: what the lines refer to; views: name -> (offset, shape, strides, dtype) in the arena; bindings: name -> (what is to be
    bound, names of its arrays, or the arrays, or None).
    """

    def __init__(self, backend, plan, inputs, fixed=None, given=None, prefix="", ticks=False, parted=False):
        self.backend, self.plan, self.prefix, self.ticks = backend, plan, prefix, ticks
        self._fixed, self._given = fixed or {}, given or {}
        xp, device, fail = backend.xp, backend.device, functools.partial(_fail, plan.graph)
        self.names = {"empty": xp.empty, "array": xp.array, "quiet": device.quiet, f"{prefix}fail": fail, "alone": device.alone}
        self._parted = parted and device.threads is not None and any(is_small(choice.prepared) for choice in plan.choices)
        if self._parted:
            self.names["threads"] = device.threads
        self._is_one = False  # whether one thread is in force
        self.views, self._view_names, self.bindings = {}, {}, {}
        self._seen = _seen_by_kernels(plan)
        self._of_value = {id(v): name for v, name in zip(plan.graph.inputs, inputs)}
        self._held = {}  # storage -> names of variables that keep it alive
        self._constants = {}

    def lines(self):
        """One for each call."""
        graph, lines, dying = self.plan.graph, [], {}
        for s in self.plan.storages():
            if s.kind in ("made", "fresh", "arena") and s.last < len(graph.calls):
                dying.setdefault(s.last, []).append(s)
        for i, (call, choice) in enumerate(zip(graph.calls, self.plan.choices)):
            line = self._call(i, call, choice)
            done = [n for s in dying.get(i, ()) for n in self._held.pop(s, ())]
            if line:
                line = self._threads_for(call, choice) + line
                line += f"; {' = '.join(done)} = None" if done else ""
                lines.append(line + (f"; tick({i})" if self.ticks else ""))
            elif done:
                lines.append(f"{' = '.join(done)} = None")
        return lines

    def environment(self, block, offset=0):
        """What the lines refer to, once they are written. block: the memory of the arena, which begins there after so many bytes."""
        env = dict(self.names)
        for name, (start, shape, strides, dtype) in self.views.items():
            env[name] = self.backend.device.view(block, shape, dtype, offset + start, strides)
        for name, (prepared, arrays) in self.bindings.items():
            small = self._parted and is_small(prepared)
            with self.backend.device.bound_small() if small else contextlib.nullcontext():
                env[name] = prepared.bind([env.get(a) if type(a) is str else a for a in arrays])
        return env

    def block(self):
        """What the calls are made within."""
        of_numpy = [
            call
            for call, choice in zip(self.plan.graph.calls, self.plan.choices)
            if choice.prepared is None and not self.plan.is_view(call)
        ]
        blocks = ["threads() as parts"] if self._parted else []
        if of_numpy:
            blocks.append("quiet(all='ignore')")  # IEEE arithmetic defines what NumPy warns of
        if any(choice.prepared is not None for choice in self.plan.choices) and any(map(self._may_use_threads, of_numpy)):
            blocks.append("alone")
        return f"with {', '.join(blocks)}" if blocks else "if True"

    def _may_use_threads(self, call):
        """Whether a call of NumPy's may use a library's threads, or run programs of its own."""
        return call.op.name not in self.backend.out_kernels and not self.backend.target.can_chain(call)

    def _threads_for(self, call, choice):
        """What must stand before a call so that it gets the threads that it needs."""
        if not self._parted:
            return ""
        if choice.prepared is None and (self.plan.is_view(call) or not self._may_use_threads(call)):
            return ""
        before, self._is_one = self._is_one, is_small(choice.prepared)
        return "" if before == self._is_one else f"parts.{'one' if self._is_one else 'all'}(); "

    # ---- one call ----------------------------------------------------------------------------------------------------

    def _call(self, i, call, choice):
        """The line of a call; empty if there is nothing to do when the plan is run."""
        if not call.outs:  # a loop of which nothing is wanted
            return ""
        places = [self.plan.place(v) for v in call.outs]
        if self.plan.is_view(call) and (self._is_static(call.outs[0]) or id(call.outs[0]) not in self._seen):
            return ""
        if not choice.writes or self.plan.is_view(call):
            outs = ", ".join(self._variable(v, f"v{i}_{j}") for j, v in enumerate(call.outs))
            run = choice.kernel if all(v.shape for v in call.outs) else _giving_arrays(choice.kernel)
            kernel = self._constant(f"{_identifier(call.op.name)}_{i}", run)
            return f"{outs}{',' if call.is_tuple else ''} = {kernel}({self._arguments(call.args, choice, i)})"
        prepare, outs = [], []
        for j, (v, place) in enumerate(zip(call.outs, places)):
            if not self._is_static(v):
                owner = place.storage.owner
                name = self._variable(v, f"v{i}_{j}")
                here = self._of_value[id(owner)] if owner is not v else None  # in place of a kernel's own result
                prepare.append(f"{name} = {here or self._empty(v)}; ")
            outs.append(self.name(v))
        if choice.prepared is not None:
            return f"{''.join(prepare)}{self._bound(i, call, choice.prepared)}"
        out = f"({', '.join(outs)},)" if call.is_tuple else outs[0]
        kernel = self._constant(f"{_identifier(call.op.name)}_{i}", choice.into)
        args = (
            typed_scalars(call.op, call.args, call.outs[0].dtype, self.backend.device.scalar) if choice.inplace else call.args
        )
        room = f"scratch={self._scratch(i)}" if i in self.plan.workspaces else None
        here = out if _takes_out_by_position(choice.into) else f"out={out}"
        return f"{''.join(prepare)}{kernel}({', '.join(filter(None, [self._arguments(args, choice, i), here, room]))})"

    def _bound(self, i, call, prepared):
        """The call of something bound to memory, with the arrays that are known only now."""
        fixed, given = [], []
        for a in (*call.args, *call.outs):
            if type(a) is not Value:
                fixed.append(a if hasattr(a, "shape") else None)
            elif self._is_static(a):
                fixed.append(self.name(a))
            else:
                place = self.plan.place(a)
                fixed.append(None)
                given.append(self.name(a if place.strides is None else place.storage.owner))
        if i in self.plan.workspaces:
            fixed.append(self._scratch(i))
        name = f"{self.prefix}{_identifier(call.op.name)}_{i}"
        self.bindings[name] = prepared, fixed
        return f"{name}({', '.join(given)}) and {self.prefix}fail({i})"

    def _scratch(self, i):
        """The name of the temporary memory of a call."""
        storage = self.plan.workspaces[i]
        return self._arena_view(storage.offset, (storage.nbytes,), (1,), "uint8")

    def _arguments(self, args, choice, i):
        named = [f"{k}={self._parameter(p, f'{k}_{i}')}" for k, p in choice.params.items()]
        return ", ".join([*map(self.name, args), *named])

    def _variable(self, v, name):
        """A variable of the function for a Value whose array is known only when it runs."""
        name = f"{self.prefix}{name}"
        self._of_value[id(v)] = name
        self._held.setdefault(self.plan.place(v).storage, []).append(name)
        return name

    def _empty(self, v):
        if id(v) in self._given:
            return self._given[id(v)]
        return f"empty({v.shape}, {self._constant(f'dtype_{v.dtype}', dtypes.as_numpy(v.dtype))})"

    # ---- names -------------------------------------------------------------------------------------------------------

    def name(self, a):
        """What stands for an argument or a result."""
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
        if id(place.storage.owner) in self._fixed:
            array = self._fixed[id(place.storage.owner)]
            seen = self.backend.device.view(array, v.shape, v.dtype, place.offset, place.strides)
            self._of_value[id(v)] = self._constant(f"f{len(self.names)}", seen)
            return self._of_value[id(v)]
        self._of_value[id(v)] = self._arena_view(place.storage.offset + place.offset, v.shape, place.strides, v.dtype)
        return self._of_value[id(v)]

    def _is_static(self, v):
        """Whether its array is known before the run."""
        place = self.plan.place(v)
        return place.is_static or (place.strides is not None and id(place.storage.owner) in self._fixed)

    def _arena_view(self, *key):
        if key not in self._view_names:
            self._view_names[key] = f"{self.prefix}b{len(self.views)}"
            self.views[self._view_names[key]] = key
        return self._view_names[key]

    def _parameter(self, p, name):
        return repr(p) if _is_literal(p) else self._constant(name, p)

    def _constant(self, name, value):
        name = f"{self.prefix}{name}"
        self.names[name] = value
        return name


def is_small(prepared):
    """Whether one thread is enough for a prepared call; those that are not prepared (None) do not say."""
    return getattr(prepared, "is_small", False)


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


def _takes_out_by_position(kernel):
    """Which is quicker. (maximum and minimum of NumPy will take further operands there.)"""
    return type(kernel) is np.ufunc and kernel not in (np.maximum, np.minimum)


def _identifier(name):
    return f"{name}_" if name in ("and", "or", "not", "while") else name
