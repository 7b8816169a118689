"""Patterns of calls: what they find, in which order, and when they do not fit."""

import numpy as np

import mlkit
from mlkit.compiler.passes.pattern import Pattern, rewritten
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.primitives import elementwise as el

X, Y = np.ones(3, "float32"), np.full(3, 2, "float32")


def matches(pattern, fn):
    """What is found in the last call of a traced function of two tensors, with names of inputs and ops for what they stand for."""
    graph = mlkit.function(fn).graph(X, Y)
    names = {id(v): name for v, name in zip(graph.inputs, "xy")}
    found = []

    def rule(call):
        if call is graph.calls[-1]:
            found.extend(pattern.matches(rewriter, call))

    rewriter = Rewriter(graph)
    rewriter.run(rule)
    return [{k: v.op.name if hasattr(v, "op") else names.get(id(v), v) for k, v in one.items()} for one in found]


def test_arguments_and_calls_have_names():
    pattern = Pattern(el.sub, "a", Pattern(el.exp, "b", call="inner"), call="outer")
    assert matches(pattern, lambda x, y: x - el.exp(y)) == [{"a": "x", "b": "y", "inner": "exp", "outer": "sub"}]
    assert matches(pattern, lambda x, y: x - el.log(y)) == []
    assert matches(pattern, lambda x, y: el.exp(x) - y) == []
    assert matches(pattern, lambda x, y: x + el.exp(y)) == []


def test_arguments_of_commuting_ops_stand_in_either_order():
    pattern = Pattern(el.add, "a", Pattern((el.exp, el.log), "b"))
    assert matches(pattern, lambda x, y: el.exp(x) + y) == [{"a": "y", "b": "x"}]
    assert [one["b"] for one in matches(pattern, lambda x, y: el.log(x) + el.exp(y))] == ["y", "x"]
    either = Pattern(el.sub, Pattern(el.mul, "a", "b"), "c")
    assert matches(either, lambda x, y: x * y - 1.0) == [{"a": a, "b": b, "c": 1.0} for a, b in ("xy", "yx")]


def test_what_is_used_elsewhere_is_not_alone():
    pattern = Pattern(el.sub, ..., Pattern(el.exp, "b", alone=True))
    assert matches(pattern, lambda x, y: x - el.exp(y)) == [{"b": "y"}]

    def twice(x, y):
        z = el.exp(y)
        return x - z * 1.5, x - z

    assert matches(pattern, twice) == []


def test_ops_are_told_by_a_trait():
    pattern = Pattern(lambda op: op.traits.involution, Pattern(el.neg, "a"))
    assert matches(pattern, lambda x, y: el.neg(-y)) == [{"a": "y"}]
    assert matches(pattern, lambda x, y: el.exp(-y)) == []


def test_the_first_rule_that_fits_counts():
    graph = mlkit.function(lambda x, y: el.exp(-x) - y).graph(X, Y)
    declines = Pattern(el.exp, "a"), lambda rewriter, call, a: None
    of_negative = Pattern(el.exp, Pattern(el.neg, "a")), lambda rewriter, call, a: rewriter.add(el.log, (a,), {})
    never = Pattern(el.exp, "a"), lambda rewriter, call, a: rewriter.add(el.sqrt, (a,), {})
    assert [c.op.name for c in rewritten(graph, declines, of_negative, never).check().calls] == ["neg", "log", "sub"]
    assert rewritten(graph, declines) is graph
