"""Control flow as ONNX's If, Loop and Scan. Their bodies see the names around them, so that what they take from outside needs no inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.graph import Call, Graph, spec_of
from mlkit.core.spec import Spec
from mlkit.export.onnx_writer import Writer
from mlkit.export.tracing import op

_TURN, _GOES = Spec((), "int64"), Spec((), "bool")


def _names(w: Writer, args: Sequence[Any], inputs: Sequence[Any]) -> list[str]:
    """Of operands that become these inputs of a body."""
    return [w.name(a, None if hasattr(a, "dtype") else spec_of(v).dtype) for a, v in zip(args, inputs)]


def _cond(w: Writer, call: Call) -> list[str]:
    predicate, *operands = call.args
    then, orelse = call.params["then"], call.params["orelse"]
    first, second = operands[: len(then.inputs)], operands[len(then.inputs) :]
    branches = [_branch(w, graph, args) for graph, args in ((then, first), (orelse, second))]
    return w.results("If", [w.name(predicate, "bool")], len(call.outs), then_branch=branches[0], else_branch=branches[1])


def _branch(w: Writer, graph: Graph, args: Sequence[Any]) -> Any:
    names = _names(w, args, graph.inputs)
    with w.scope() as scope:
        return scope.graph("branch", [], w.inline(graph, names), graph.outputs)


def _while(w: Writer, call: Call) -> list[str]:
    test, body, count = (call.params[k] for k in ("test", "body", "state"))
    state, others = call.args[:count], call.args[count:]
    kept = len(test.inputs) - count  # of the others, those that the test takes
    start = _names(w, state, body.inputs)
    of_test = _names(w, others[:kept], test.inputs[count:])
    of_body = _names(w, others[kept:], body.inputs[count:])
    (goes,) = w.inline(test, [*start, *of_test])
    with w.scope() as scope:
        inputs = [scope.input(_TURN), scope.input(_GOES), *(scope.input(v.spec) for v in body.inputs[:count])]
        after = w.inline(body, [i.name for i in inputs[2:]] + of_body)
        (again,) = w.inline(test, [*after, *of_test])
        turn = scope.graph("turn", inputs, [again, *after], [*test.outputs, *body.outputs])
    return w.results("Loop", ["", goes, *start], count, body=turn)


def _scan(w: Writer, call: Call) -> list[str]:
    body, xs, carry, reverse = (call.params[k] for k in ("body", "xs", "carry", "reverse"))
    start = _names(w, call.args[xs : xs + carry], body.inputs[xs : xs + carry])
    shared = _names(w, call.args[xs + carry :], body.inputs[xs + carry :])
    slices = [w.name(a) for a in call.args[:xs]]
    with w.scope() as scope:
        state = [scope.input(v.spec) for v in body.inputs[xs : xs + carry]]
        steps = [scope.input(v.spec) for v in body.inputs[:xs]]
        results = w.inline(body, [i.name for i in (*steps, *state)] + shared)
        if xs:
            turn = scope.graph("step", [*state, *steps], results, body.outputs)
        else:
            goes = scope.input(_GOES)
            turn = scope.graph(
                "step", [scope.input(_TURN), goes, *state], [goes.name, *results], [np.array(True), *body.outputs]
            )
    if xs:
        ways = {
            f"scan_{kind}_directions": [int(reverse)] * n for kind, n in (("input", xs), ("output", len(results) - carry)) if n
        }
        return w.results("Scan", [*start, *slices], len(results), body=turn, num_scan_inputs=xs, **ways)
    times = w.node("Squeeze", [w.size(call.params["length"]), w.ints([0])])
    found = w.results("Loop", [times, w.constant(np.array(True)), *start], len(results), body=turn)
    return found[:carry] + [_reversed(w, y) if reverse else y for y in found[carry:]]


def _reversed(w: Writer, y: str) -> str:
    return w.node("Slice", [y, w.ints([-1]), w.ints([-(2**62)]), w.ints([0]), w.ints([-1])])


def takes(call: Call) -> bool:
    """Whether the row of a call's op takes this very call."""
    return not call.params.get("save", False)  # what only gradients need


ROWS = {op("cond"): _cond, op("while"): _while, op("scan"): _scan}
