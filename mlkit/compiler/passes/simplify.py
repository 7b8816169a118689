"""Algebra: calls that change nothing, undo one another or join into one. One rule a function, in words in its docstring.

A rule gets the rewriter and the call; it returns None, or what stands for the call's output. Rules keep every bit of the
result, but for the sign of zeros.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, replaced
from mlkit.compiler.passes.rewrite import Rewriter, is_scalar
from mlkit.core import dtypes
from mlkit.core.graph import Call, Graph, spec_of
from mlkit.core.op import Op
from mlkit.core.tensor import Value
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import relu_grad
from mlkit.primitives.fused.mask import masked_scale
from mlkit.primitives.movement import concat, flip, full, pad, slice_
from mlkit.primitives.reduction import max_, min_, prod
from mlkit.primitives.shape import broadcast_to, reshape, sum_, transpose

RULES: list[tuple[Any, Any]] = []  # pairs (takes, function), where takes(op) says whether a rule may fit calls of an op


def rule(*ops: Op) -> Callable[..., Any]:
    """Make a function a rule for calls of these ops."""
    return rule_where(ops.__contains__)


def rule_where(takes: Callable[[Op], Any]) -> Callable[..., Any]:
    """Make a function a rule for calls of the ops that ``takes(op)`` is true of."""

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        RULES.append((takes, function))
        return function

    return note


def rule_of(*args: Any, **options: Any) -> Callable[..., Any]:
    """Make a function of (rewriter, call, **found) a rule for calls that fit a `Pattern`, of these arguments."""
    pattern = Pattern(*args, **options)

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        RULES.append((pattern.takes, lambda rewriter, call: replaced(rewriter, call, pattern, function)))
        return function

    return note


@functools.cache
def rules_of(op: Op) -> list[Callable[..., Any]]:
    """The rules for calls of an op, in the order in which they are tried."""
    return [function for takes, function in RULES if takes(op)]


def simplify(graph: Graph, target: Target | None = None) -> Graph:
    """The graph with all rules applied to each call, and to what they make of it, until none fits."""
    return _Simplifier(graph).run()


class _Simplifier(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._users: dict[
            int, list[Call]
        ] = {}  # id of a Value -> the calls that take it, among the first `_read` of the new graph
        self._read = 0

    def users(self, a: Any) -> Sequence[Call]:
        """The calls so far that take an argument."""
        for call in self.out.calls[self._read :]:
            for b in call.args:
                if hasattr(b, "shape"):
                    self._users.setdefault(id(b), []).append(call)
        self._read = len(self.out.calls)
        return self._users.get(id(a), ())

    def add(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Stage a call of one output that a rule asks for, simplified itself."""
        call = Call(op, args, params, (Value(op.spec(*map(spec_of, args), **params)),))
        found = self._rule(call)
        if found is None:
            self.keep(call)
        return call.outs[0] if found is None else found

    def _rule(self, call: Call) -> Value | None:
        for function in rules_of(call.op):
            found = function(self, call)
            if found is not None:
                return found
        return _with_scalars(self, call)


def _same(a: Value, call: Call) -> bool:
    """Whether a Value has the spec of a call's output."""
    return type(a) is Value and a.shape == call.outs[0].shape and a.dtype == call.outs[0].dtype


# ---- arithmetic ----------------------------------------------------------------------------------------------------------


@rule_where(lambda op: op.traits.neutral is not None)
def neutral(rewriter: _Simplifier, call: Call) -> Value | None:
    """x + 0, x - 0, x * 1, x / 1, x ** 1 -> x, and the first and third the other way round"""
    x, y = call.args
    n = call.op.traits.neutral
    if is_scalar(y) and y == n and _same(x, call):
        return x
    if call.op.traits.commutes and is_scalar(x) and x == n and _same(y, call):
        return y


@rule_where(lambda op: op.traits.involution)
def twice(rewriter: _Simplifier, call: Call) -> Value | None:
    """--x -> x, not not x -> x"""
    inner = rewriter.maker(call.args[0], call.op)
    return inner.args[0] if inner else None


@rule_where(lambda op: op.traits.idempotent)
def once_is_enough(rewriter: _Simplifier, call: Call) -> Value | None:
    """maximum(x, x) -> x, relu(relu(x)) -> relu(x)"""
    x, y = call.args[0], call.args[-1]
    if len(call.args) == 1:
        return x if rewriter.maker(x, call.op) else None
    return x if x is y and _same(x, call) else None


@rule_of((el.add, el.sub), "x", Pattern(el.neg, "y"))
def of_negative(rewriter: _Simplifier, call: Call, x: Any, y: Any) -> Value | None:
    """x + -y -> x - y, x - -y -> x + y, -y + x -> x - y"""
    return rewriter.add(el.sub if call.op is el.add else el.add, (x, y), {}) if type(x) is Value else None


@rule(el.pow_)
def small_power(rewriter: _Simplifier, call: Call) -> Value | None:
    """x ** 2 -> x * x, x ** 0.5 -> sqrt(x)"""
    x, y = call.args
    if type(x) is Value and is_scalar(y) and x.dtype in dtypes.FLOATS:
        if y == 2:
            return rewriter.add(el.mul, (x, x), {})
        if y == 0.5:
            return rewriter.add(el.sqrt, (x,), {})


@rule(el.floor, el.ceil, el.round_)
def round_already(rewriter: _Simplifier, call: Call) -> Value | None:
    """floor of integers -> the integers"""
    x = call.args[0]
    return x if type(x) is Value and x.dtype not in dtypes.FLOATS else None


@rule(el.where)
def either_way(rewriter: _Simplifier, call: Call) -> Value | None:
    """where(c, x, x) -> x"""
    _, x, y = call.args
    return x if x is y and _same(x, call) else None


@rule(relu_grad)
def of_dropped(rewriter: _Simplifier, call: Call) -> Value | None:
    """relu_grad(masked_scale(g, keep), y) -> relu_grad(g * scale, z) if there is a z = masked_scale(y, keep): it is positive where
    both let the gradient pass, so neither y nor the mask must be kept"""
    g, y = call.args
    dropped = rewriter.maker(g, masked_scale)
    if dropped and dropped.params["scale"] >= 1:  # smaller ones could turn the smallest numbers into 0
        for other in rewriter.users(dropped.args[1]):
            if other.op is dropped.op and other.params == dropped.params and other.args[0] is y:
                scaled = rewriter.add(el.mul, (dropped.args[0], dropped.params["scale"]), {})
                return rewriter.add(call.op, (scaled, other.outs[0]), {})


@rule(el.where)
def decided(rewriter: _Simplifier, call: Call) -> Value | None:
    """where(True, x, y) -> x, where(False, x, y) -> y"""
    condition, x, y = call.args
    if not is_scalar(condition):
        return None
    chosen, out = x if condition else y, call.outs[0]
    if is_scalar(chosen):
        return rewriter.add(full, (), {"shape": out.shape, "value": chosen, "dtype": out.dtype})
    return chosen if _same(chosen, call) else rewriter.add(broadcast_to, (chosen,), {"shape": out.shape})


def _with_scalars(rewriter: _Simplifier, call: Call) -> Value | None:
    """An elementwise op of a tensor that repeats one number, or is spread by broadcast_to, takes the number or the original."""
    if not call.op.traits.broadcasts:
        return None
    args = [_source(rewriter, a) for a in call.args]
    changed = [i for i, (a, b) in enumerate(zip(args, call.args)) if a is not b]
    one_by_one = [[*call.args[:i], args[i], *call.args[i + 1 :]] for i in changed]
    for candidate in [args, *one_by_one] if changed else []:
        if not all(map(is_scalar, candidate)) and call.op.spec(*map(spec_of, candidate), **call.params) == call.outs[0].spec:
            return rewriter.add(call.op, candidate, call.params)


def _source(rewriter: _Simplifier, a: Any) -> Any:
    maker = rewriter.maker(a)
    if maker is None:
        return a
    if maker.op is full:
        return _number(maker)
    return maker.args[0] if maker.op is broadcast_to else a


def _number(call: Call) -> Any:
    """The value of a `full` as a Python number of the kind of its dtype, rounded as its elements are."""
    value, dtype = call.params["value"], call.params["dtype"]
    if dtype in dtypes.FLOATS or dtype in dtypes.COMPLEX:
        with np.errstate(over="ignore"):  # beyond the largest number lies infinity
            return (float if dtype in dtypes.FLOATS else complex)(np.asarray(value).astype(dtypes.as_numpy(dtype)))
    return bool(value) if dtype == "bool" else int(value)


# ---- dtypes and shapes -------------------------------------------------------------------------------------------------


@rule(el.stop_gradient)
def no_gradient_here(rewriter: _Simplifier, call: Call) -> Value:
    """stop_gradient(x) -> x: when a graph is compiled, gradients are in it already"""
    return call.args[0]


@rule(el.cast)
def cast_chain(rewriter: _Simplifier, call: Call) -> Value | None:
    """cast to the same dtype -> x; cast(cast(x)) -> cast(x) if the first one loses nothing"""
    x, dtype = call.args[0], call.params["dtype"]
    if _same(x, call):
        return x
    inner = rewriter.maker(x, el.cast)
    source = inner.args[0] if inner else None
    if type(source) is Value and dtypes.result_type(source.dtype, x.dtype) == x.dtype and _exact(source.dtype, x.dtype):
        return source if source.dtype == dtype else rewriter.add(call.op, (source,), call.params)


def _exact(narrow: str, wide: str) -> bool:
    """Whether the wider dtype holds every value of the narrower one."""
    if narrow in dtypes.FLOATS or narrow == "bool":
        return True
    if wide in dtypes.FLOATS:
        return dtypes.as_numpy(narrow).itemsize < dtypes.as_numpy(wide).itemsize
    return wide not in dtypes.COMPLEX


@rule(reshape, broadcast_to, transpose, slice_, pad, concat, flip, sum_, prod, max_, min_)
def same_again(rewriter: _Simplifier, call: Call) -> Value | None:
    """reshape, broadcast_to, slice ... to the whole of x -> x"""
    if len(call.args) == 1 and _same(call.args[0], call) and _changes_nothing(call):
        return call.args[0]


def _changes_nothing(call: Call) -> bool:
    params, shape = call.params, call.args[0].shape
    if call.op is transpose:
        return [p for p in params["perm"] if shape[p] != 1] == [p for p in range(len(shape)) if shape[p] != 1]
    if call.op is flip:
        return all(shape[a] == 1 for a in params["axes"])
    return call.op is not slice_ or all(s == 1 for s in params["strides"]) or params["starts"] == (0,) * len(shape)


@rule(reshape, broadcast_to)
def last_one_counts(rewriter: _Simplifier, call: Call) -> Value | None:
    """reshape(reshape(x)) -> reshape(x), broadcast_to(broadcast_to(x)) -> broadcast_to(x)"""
    inner = rewriter.maker(call.args[0], call.op)
    return rewriter.add(call.op, inner.args, call.params) if inner and type(inner.args[0]) is Value else None


@rule_of(transpose, Pattern(transpose, "x", call="inner"))
def transposes(rewriter: _Simplifier, call: Call, x: Value, inner: Call) -> Value:
    """transpose(transpose(x)) -> one transpose, or x"""
    perm = tuple(inner.params["perm"][p] for p in call.params["perm"])
    return x if perm == tuple(range(len(perm))) else rewriter.add(call.op, (x,), dict(perm=perm))


@rule_of(flip, Pattern(flip, "x", call="inner"))
def flipped_back(rewriter: _Simplifier, call: Call, x: Value, inner: Call) -> Value | None:
    """flip(flip(x)) along the same axes -> x"""
    return x if set(inner.params["axes"]) == set(call.params["axes"]) else None


@rule(sum_, prod, max_, min_)
def of_single_elements(rewriter: _Simplifier, call: Call) -> Value | None:
    """sum over axes of size 1 -> reshape"""
    x = call.args[0]
    if type(x) is Value and all(x.shape[a] == 1 for a in call.params["axes"]):
        return rewriter.add(reshape, (x,), dict(shape=call.outs[0].shape))


@rule_of((reshape, broadcast_to, transpose, slice_, flip, el.cast, el.neg), Pattern(full, call="number"))
def of_one_number(rewriter: _Simplifier, call: Call, number: Call) -> Value | None:
    """reshape, cast ... of a tensor that repeats one number -> such a tensor"""
    out, value = call.outs[0], _number(number)
    if call.op is el.cast and (type(value) is complex or value != value or not _fits(value, out.dtype)):
        return None
    if call.op is el.neg:
        value = -value
        if out.dtype not in dtypes.COMPLEX and not _fits(value, out.dtype):
            return None  # it wraps around
    return rewriter.add(full, (), dict(shape=out.shape, value=value, dtype=out.dtype))


def _fits(value: float, dtype: str) -> bool:
    """Whether a number is one of the dtype's, so that a cast leaves it as it is."""
    if dtype in dtypes.FLOATS:
        return True
    return dtype not in dtypes.COMPLEX and dtypes.holds(dtype, value) and value == int(value)


PASS = Pass("simplify", simplify)
