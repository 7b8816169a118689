"""Loops of a known number of steps as the calls of these steps, for formats that have no loops."""

from typing import Any

from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Tensor
from mlkit.core.trace import trace_into
from mlkit.primitives.control import scan_op
from mlkit.primitives.movement import element, stacked


def unrolled(graph: Graph) -> Graph:
    """The graph without scans whose number of steps is known, in bodies of scans too."""
    while any(map(_is_known, graph.calls)):
        rewriter = Rewriter(graph)

        def rule(call: Call, rewriter: Rewriter = rewriter) -> Any:
            if not _is_known(call):
                return None
            part = _steps(call)
            for c in part.calls:
                rewriter.keep(c)
            return tuple(part.outputs)

        graph = prune(rewriter.run(rule))
    return graph


def _is_known(call: Call) -> bool:
    return call.op is scan_op and type(call.params["length"]) is int and call.params["length"] > 0


def _steps(call: Call) -> Graph:
    """The calls of a scan's steps, and what they return."""
    body, xs, carry, length = (call.params[k] for k in ("body", "xs", "carry", "length"))
    graph, args = Graph(), [Tensor(a) for a in call.args]
    slices, states, shared = args[:xs], args[xs : xs + carry], args[xs + carry :]
    steps = []
    with trace_into(graph, call.place):
        for t in range(length - 1, -1, -1) if call.params["reverse"] else range(length):
            out = body.run(*(element(x, t) for x in slices), *states, *shared)
            steps.append([*out[carry:], *(states if call.params["save"] else ())])
            states = out[:carry]
        if call.params["reverse"]:
            steps.reverse()
        graph.outputs = [t.data for t in (*states, *map(stacked, zip(*steps)))]
    return graph
