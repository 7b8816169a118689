"""Splitting scans: what the steps of a loop do not need from one another is done for all steps at once, before the loop or behind it.

Before go calls that depend on no carried value, as `vmap` would make them: products of all inputs of a recurrent net with its weights,
or in a gradient all that the step is to compute a second time. Behind go those that no carried value depends on. A carried value that
is only added to, such as the gradient of a weight, becomes a sum behind the loop, and one of products a single product. Results that
nobody reads are not made, nor is what is carried for them alone.
"""

from collections.abc import Sequence
from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes import cse, fold, lower, simplify
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter, count_uses, is_scalar
from mlkit.core import dtypes
from mlkit.core.call import CallContext
from mlkit.core.graph import Call, Graph
from mlkit.core.machine import threshold
from mlkit.core.op import Op
from mlkit.core.spec import Spec, size_of
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import trace_into
from mlkit.primitives.control import scan_op
from mlkit.primitives.elementwise import add, mul
from mlkit.primitives.linear import matmul
from mlkit.primitives.mapping import Batched, Mapping
from mlkit.primitives.movement import pad
from mlkit.primitives.shape import reshape, sum_, transpose

OF_A_STEP = threshold("split_scans")
OF_ALL_STEPS = threshold("split_scans_in_all")
_BODY = (lower, simplify, cse, fold)


def split_scans(graph: Graph, target: Target) -> Graph:
    """The graph with scans of fewer calls."""
    rewriter = Rewriter(graph)

    def rule(call: Call) -> Any:
        if call.op is not scan_op or type(call.params["length"]) is not int or not call.params["length"]:
            return None
        used = [rewriter.uses.get(id(v), 0) > 0 for v in call.outs]
        split = _Split(call, _tidied(call.params["body"], target), used)
        if not split.gains:
            return None
        for c in split.calls:
            rewriter.keep(c)
        return split.results

    return prune(rewriter.run(rule))


def _tidied(body: Graph, target: Target) -> Graph:
    body = prune(body)
    for module in _BODY:
        if module.PASS.is_wanted(False):
            body = module.PASS.run(body, target)
    return prune(body)


class _NoRule(Exception):
    """An op would be called once for each step."""


class _AllSteps(Mapping):
    def _one_by_one(self, op: Op, inner: Any, has: Any, params: dict[str, Any], specs: Any) -> Any:
        raise _NoRule


class _Steps:
    """Calls of a body, made for all steps at once. values: id of a Value of the body -> the Tensor that stands for it."""

    def __init__(self, length: int, values: dict[int, Tensor], place: tuple[Any, ...]) -> None:
        self.graph, self.values, self.length = Graph(), dict(values), length
        with trace_into(self.graph, place):
            self.trace = state.top
        self.mapping = _AllSteps(length, self.trace)

    def batched(self, tensor: Tensor) -> Tensor:
        """A stack of all steps' values as the calls see it."""
        return Tensor(Batched(tensor, self.mapping.owner))

    def look_up(self, a: Any) -> Any:
        return self.values[id(a)] if type(a) is Value else a if a is None or is_scalar(a) else Tensor(a)

    def take(self, call: Call) -> bool:
        """Make the call, if that is possible."""
        args = list(map(self.look_up, call.args))
        if not self._is_movable(call, any(type(a) is Tensor and type(a.data) is Batched for a in args)):
            return False
        try:
            with swapped(top=self.mapping, call=CallContext(call.place)):
                out = call.op(*args, **call.params)
        except _NoRule:
            return False
        self.values.update(zip(map(id, call.outs), out if type(out) is tuple else (out,)))
        return True

    def _is_movable(self, call: Call, differs: bool) -> bool:
        traits = call.op.traits
        if traits.communicates or any(type(p) is Graph for p in call.params.values()):
            return False
        if not differs:
            return True
        if not (traits.batch or traits.broadcasts or traits.elementwise):
            return False
        return traits.view is not None or all(self.is_small(v.spec) for v in call.outs)

    def is_small(self, spec: Spec) -> bool:
        """Whether a stack of such values takes memory that is worth the time."""
        size = size_of(spec.shape)
        return size <= OF_A_STEP and size * self.length <= OF_ALL_STEPS

    def stack(self, tensor: Tensor) -> Tensor:
        """The values of all steps along a first axis."""
        with swapped(top=self.trace):
            return self.mapping.leave(tensor, 0)


class _Split:
    """A scan as calls before it, a smaller scan, and calls behind it. gains: whether that is better; calls; results: what stands for the
    scan's outputs."""

    def __init__(self, call: Call, body: Graph, used: Sequence[bool]) -> None:
        self.call, self.body, self.params = call, body, call.params
        xs, carry, self.length = (call.params[k] for k in ("xs", "carry", "length"))
        self.states, n_ys = body.inputs[xs : xs + carry], len(body.outputs) - carry
        self.ys = {j: body.outputs[carry + j] for j in range(n_ys) if used[carry + j]}
        self.saved = {k: self.states[k] for k in range(carry) if call.params["save"] and used[carry + n_ys + k]}
        self.maker = {id(v): c for c in body.calls for v in c.outs}
        self._uses = count_uses(body)
        wanted = [body.outputs[k] for k in range(carry) if used[k]] + [*self.ys.values(), *self.saved.values()]
        self.live, self.alive_calls = self._needed(wanted)
        self._enter(xs, carry)
        self.taken_before = {id(c) for c in body.calls if id(c) in self.alive_calls and self._known(c) and self.before.take(c)}
        self.sums = {k: terms for k in sorted(self.live) if k not in self.saved and (terms := self._terms(k))}
        self._leave()
        self.gains = bool(
            any(c.op.traits.view is None for c in body.calls if id(c) not in self.kept) or len(self.live) < carry or self.sums
        )
        if self.gains:
            self._build(xs, carry, n_ys)

    # ---- what is done where ------------------------------------------------------------------------------------------

    def _needed(self, wanted: Sequence[Any]) -> tuple[set[int], set[int]]:
        """(numbers of the carried values, ids of the calls) that these values depend on, through any number of steps."""
        number = {id(v): k for k, v in enumerate(self.states)}
        live: set[int] = set()
        calls: set[int] = set()
        waiting = [v for v in wanted if type(v) is Value]
        while waiting:
            v = waiting.pop()
            k, call = number.get(id(v)), self.maker.get(id(v))
            if k is not None and k not in live:
                live.add(k)
                waiting += [o for o in (self.body.outputs[k],) if type(o) is Value]
            if call is not None and id(call) not in calls:
                calls.add(id(call))
                waiting += call.inputs
        for k, o in enumerate(self.body.outputs[: len(self.states)]):
            if any(o is v for v in wanted):
                live.add(k)
        return live, calls

    def _enter(self, xs: int, carry: int) -> None:
        self.before = _Steps(self.length, {}, self.call.place)
        for k, (v, a) in enumerate(zip(self.body.inputs, self.call.args)):
            if k < xs or k >= xs + carry:
                t = Tensor(a)
                self.before.values[id(v)] = self.before.batched(t) if k < xs else t

    def _known(self, call: Call) -> bool:
        """Whether all that a call needs is there before the loop."""
        return all(id(a) in self.before.values for a in call.inputs)

    def _terms(self, k: int) -> list[Any] | None:
        """What is added to a carried value that nothing else is done with; None if there is more to it."""
        terms: list[Any] = []
        value, target = self.body.outputs[k], self.states[k]
        if target.dtype == "bool" or dtypes.is_complex(target.dtype):  # `or` is no sum; nobody has needed the other
            return None
        while value is not target:
            made_by = self.maker.get(id(value)) if type(value) is Value else None
            if made_by is None or made_by.op is not add or self._uses[id(value)] != 1 or value.spec != target.spec:
                return None
            inner = [i for i, a in enumerate(made_by.args) if type(a) is Value and self._leads_to(a, target)]
            if len(inner) != 1:
                return None
            value, term = made_by.args[inner[0]], made_by.args[1 - inner[0]]
            terms.append(term)
        return terms if terms and self._uses[id(target)] == 1 else None

    def _leads_to(self, value: Value, target: Value) -> bool:
        """Whether a value is a carried one with something added."""
        if value is target:
            return True
        made_by = self.maker.get(id(value))
        return (
            made_by is not None
            and made_by.op is add
            and any(type(a) is Value and self._leads_to(a, target) for a in made_by.args)
        )

    def _leave(self) -> None:
        """Find out which calls stay in the loop, and make those that do not."""
        stay: set[int] = set()
        while True:
            carried = [k for k in sorted(self.live) if k not in self.sums]
            self.kept = self._closure([self.body.outputs[k] for k in carried], stay)
            failed = self._make_behind()
            if failed is None:
                return
            if type(failed) is int:
                del self.sums[failed]
            else:
                stay.add(id(failed))

    def _closure(self, values: Sequence[Any], stay: set[int]) -> set[int]:
        """ids of calls in the loop: those that the values need, and those that must stay, with what they need."""
        kept: set[int] = set()
        waiting = [v for v in values if type(v) is Value]
        waiting += [v for c in self.body.calls if id(c) in stay for v in c.outs]
        while waiting:
            v = waiting.pop()
            call = self.maker.get(id(v))
            if call is None or id(call) in kept or id(v) in self.before.values:
                continue
            kept.add(id(call))
            waiting += call.inputs
        return kept

    def _make_behind(self) -> Any:
        """Make the other calls behind the loop. A call that cannot be made there, or the number of a sum that cannot; else None."""
        self.crossing: dict[
            int, tuple[Any, Value]
        ] = {}  # id of a Value of the body -> (it, the stack that comes out of the loop)
        self.behind = _Steps(self.length, self.before.values, self.call.place)
        self.behind.mapping = _AllSteps(
            self.length, self.behind.trace, self.before.mapping
        )  # which knows the stacks from before
        added = {id(c) for k in self.sums for c in self._adding(k)}
        contracted: set[int] = set()
        for k in self.sums:
            for term in self.sums[k]:
                contracted |= self._contracted(term)
        for c in self.body.calls:
            done = id(c) in self.kept or id(c) in self.taken_before or id(c) in added | contracted
            if done or id(c) not in self.alive_calls:
                continue
            if not self._cross(c.inputs) or not self.behind.take(c):
                return c
        self.totals = {}
        for k, terms in self.sums.items():
            found = [self._total(term, contracted, self.states[k].dtype) for term in terms]
            if any(t is None for t in found):
                return k
            self.totals[k] = found
        for v in [*self.ys.values(), *self.saved.values()]:
            if type(v) is Value:
                self._cross([v], force=True)
        return None

    def _adding(self, k: int) -> list[Call]:
        """The calls that add to a carried value."""
        calls, value = [], self.body.outputs[k]
        while value is not self.states[k]:
            call = self.maker[id(value)]
            calls.append(call)
            value = next(a for a in call.args if type(a) is Value and self._leads_to(a, self.states[k]))
        return calls

    def _cross(self, values: Sequence[Value], force: bool = False) -> bool:
        """Have values of the loop at hand behind it, as stacks. False if one is too large, unless it is wanted anyway."""
        for v in values:
            if id(v) in self.behind.values:
                continue
            if not force and not self.behind.is_small(v.spec):
                return False
            stack = Value(Spec((self.length, *v.shape), v.dtype))
            self.crossing[id(v)] = v, stack
            self.behind.values[id(v)] = self.behind.batched(Tensor(stack))
        return True

    # ---- sums over all steps -----------------------------------------------------------------------------------------

    def _contracted(self, term: Any) -> set[int]:
        """ids of the calls of a term that are not made for each step, because the sum goes through them."""
        call = self.maker.get(id(term)) if type(term) is Value else None
        if call is None or self._uses[id(term)] != 1 or id(call) in self.kept or id(call) in self.taken_before:
            return set()
        if call.op is matmul and all(type(a) is Value and len(a.shape) == 2 for a in call.args):
            return {id(call)}
        if call.op in (transpose, reshape) or (call.op is pad and not call.params["value"]):
            return {id(call)} | self._contracted(call.args[0])
        if call.op is add and all(type(a) is Value and a.spec == term.spec for a in call.args):
            return {id(call)}.union(*map(self._contracted, call.args))
        return set()

    def _total(self, term: Any, contracted: set[int], dtype: str) -> Any:
        """The sum of a term over all steps, a Tensor or a number; None if it cannot be had. dtype: of the sum."""
        call = self.maker.get(id(term)) if type(term) is Value else None
        behind = self.behind
        if call is not None and id(call) in contracted:
            if call.op is matmul:
                if not self._cross(call.inputs):
                    return None
                a, b = (behind.stack(behind.look_up(a)) for a in call.args)
                with swapped(top=behind.trace, call=CallContext(call.place)):
                    return _product_of_all(a, b)
            parts = [self._total(a, contracted, dtype) for a in call.args]
            if any(p is None for p in parts):
                return None
            with swapped(top=behind.trace, call=CallContext(call.place)):
                return call.op(*parts, **call.params)
        if type(term) is Value and not self._cross([term]):
            return None
        t = behind.look_up(term)
        with swapped(top=behind.trace):
            if type(t) is Tensor and type(t.data) is Batched:
                return sum_(t.data.tensor, axes=(0,), keepdims=False)
            return self._times_length(t, dtype)

    def _times_length(self, t: Any, dtype: str) -> Any:
        """What is the same in all steps, as often as there are steps; None if whole numbers of the dtype do not reach so far."""
        if not dtypes.is_float(dtype):
            low, high = dtypes.limits(dtype)
            if not all(low <= n <= high for n in (self.length, *(() if type(t) is Tensor else (t * self.length,)))):
                return None
        return mul(t, self.length) if type(t) is Tensor else t * self.length

    # ---- the new calls -----------------------------------------------------------------------------------------------

    def _build(self, xs: int, carry: int, n_ys: int) -> None:
        body, before = self.body, self.before.values
        calls = [c for c in body.calls if id(c) in self.kept]
        carried = [k for k in sorted(self.live) if k not in self.sums]
        outputs = [body.outputs[k] for k in carried] + [v for v, _ in self.crossing.values()]
        taken = {id(a): a for a in [*(a for c in calls for a in c.inputs), *outputs] if type(a) is Value and id(a) in before}
        slices = [v for v in taken.values() if type(before[id(v)].data) is Batched]
        shared = [v for v in taken.values() if type(before[id(v)].data) is not Batched]
        inner = Graph([*slices, *(self.states[k] for k in carried), *shared], calls, outputs)
        args = [before[id(v)].data.tensor.data for v in slices]
        args += [self.call.args[xs + k] for k in carried] + [before[id(v)].data for v in shared]
        after = {k: Value(self.call.outs[k].spec) for k in carried}
        params = {**self.params, "body": inner, "xs": len(slices), "carry": len(carried), "save": False}
        outs = (*after.values(), *(stack for _, stack in self.crossing.values()))
        self.calls = [*self.before.graph.calls]
        if outs:
            self.calls.append(Call(scan_op, args, params, outs, True, self.call.place))
        results: list[Any] = []
        for k in range(carry):
            start = self.call.args[xs + k]
            results.append(after[k] if k in after else self._summed(k, start) if k in self.sums else start)
        results += [self._stacked(self.ys[j]) if j in self.ys else None for j in range(n_ys)]
        if self.params["save"]:
            results += [self._stacked(self.saved[k]) if k in self.saved else None for k in range(carry)]
        self.calls += self.behind.graph.calls
        self.results = tuple(results)

    def _summed(self, k: int, start: Any) -> Any:
        with swapped(top=self.behind.trace):
            total = Tensor(start) if hasattr(start, "shape") else start
            for t in self.totals[k]:
                total = add(total, t)
        return total.data

    def _stacked(self, v: Any) -> Any:
        return self.behind.stack(self.behind.look_up(v)).data


def _product_of_all(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the products of matrices, (steps, m, k) and (steps, k, n), as one product."""
    steps, m, k = a.shape
    wide = reshape(transpose(a, perm=(1, 0, 2)), shape=(m, steps * k))
    return matmul(wide, reshape(b, shape=(steps * k, b.shape[2])))


PASS = Pass("split_scans", split_scans, needs=(scan_op,))
