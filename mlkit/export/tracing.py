"""The inference graph of a model: traced with a batch of any size, its weights as constants, and what follows from them computed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.compiler.contract import Target
from mlkit.compiler.passes.cse import cse
from mlkit.compiler.passes.fold_pads import fold_pads
from mlkit.compiler.passes.fold_scales import fold_scales
from mlkit.compiler.passes.lower import lower
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.compiler.passes.simplify import simplify
from mlkit.core import tree
from mlkit.core.graph import Call, Graph
from mlkit.core.op import Op
from mlkit.core.program import Program
from mlkit.core.spec import Dim, Spec, are_known, resolve
from mlkit.core.state import state
from mlkit.core.tensor import Tensor, Value
from mlkit.export.unrolling import unrolled
from mlkit.primitives.catalogue import OPS


class Format(Target):
    """A format as a target of passes: it runs the ops it has rows for, and the rest is made of these.

    Args:
        name: As `Model.export` has it.
        rows: Op -> row.
        takes: Function (call) -> whether its row takes this very call.
        has_loops: Whether it has loops; else those of a known number of steps are unrolled.
    """

    def __init__(self, name: str, rows: dict[Op, Any], takes: Callable[[Call], bool], has_loops: bool = True):
        self.name, self.rows, self.takes, self.has_loops = name, rows, takes, has_loops

    def runs(self, op: Op) -> bool:
        return op in self.rows

    def lacks(self, call: Call) -> bool:
        return call.op.fallback is not None and not (call.op in self.rows and self.takes(call))


def inference_graph(fn: Callable[..., Any], specs: Sequence[Spec], target: Format) -> Graph:
    """The graph of a function of tensors, ready for a format.

    Args:
        fn: Called with one Tensor for each spec; returns a Tensor or a structure of them.
        specs: Shapes and dtypes of the arguments; sizes may be unknown.
        target: The format.

    Raises:
        NotImplementedError: An op has no row and no other form; it is named with its layer.
    """
    program = Program(fn, tuple(specs), {}, compiled=False)
    graph = program.graph
    graph.outputs = graph.outputs[: len(graph.outputs) - len(program.writes)]
    if not target.has_loops:
        graph = unrolled(graph)
    for step in (prune, simplify, cse, fold_pads, fold_scales):
        graph = step(graph, target)
    graph = lower(_with_constants(graph, [v.value for v in program.reads]), target)
    graph = _with_bodies(_folded(prune(simplify(graph, target))), target)
    _check(graph, target)
    return graph


def _with_bodies(graph: Graph, target: Format) -> Graph:
    """The graph with those of its calls' bodies ready for the format too."""
    calls = []
    for call in graph.calls:
        if any(isinstance(p, Graph) for p in call.params.values()):
            call = call.with_args(call.args)
            call.params = {k: _body(p, target) if isinstance(p, Graph) else p for k, p in call.params.items()}
        calls.append(call)
    return graph.like(calls, graph.outputs)


def _body(graph: Graph, target: Format) -> Graph:
    return _with_bodies(lower(simplify(graph, target), target), target)


def _check(graph: Graph, target: Format) -> None:
    """Raise NotImplementedError, naming op, layer and format, for the first call that cannot be written."""
    for call in graph.calls:
        if call.op not in target.rows or not target.takes(call):
            raise NotImplementedError(
                f"{call.op.name} in {'/'.join(map(str, call.place)) or 'the model itself'}: format {target.name!r} has nothing for it"
                f"{'' if call.op not in target.rows else ' with ' + str(call.params)}."
            )
        for body in call.params.values():
            if isinstance(body, Graph):
                _check(body, target)


def _with_constants(graph: Graph, values: Sequence[Tensor]) -> Graph:
    """The graph with values in place of the inputs that stand for variables."""
    first = len(graph.inputs) - graph.state
    known = {id(v): t.numpy() for v, t in zip(graph.inputs[first:], values)}
    calls = [c.with_args([known.get(id(a), a) if type(a) is Value else a for a in c.args]) for c in graph.calls]
    return Graph(graph.inputs[:first], calls, [known.get(id(v), v) for v in graph.outputs])


def _folded(graph: Graph) -> Graph:
    """The graph with calls of constants replaced by their values, whatever their size."""

    def rule(call: Call) -> Any:
        if any(type(a) is Value for a in call.args) or not are_known(tuple(v.spec for v in call.outs)):
            return None
        kernel = state.kernels.get(call.op.name)
        if kernel is None:
            return None
        found = kernel(*call.args, **call.params)
        return tuple(map(np.asarray, found)) if call.is_tuple else np.asarray(found)

    return prune(Rewriter(graph).run(rule))


def with_sizes(graph: Graph, sizes: Mapping[Dim, Any]) -> Graph:
    """The graph with these in place of sizes that are free in the parameters of calls, and of those within loops and branches."""

    def known_part(n: Any) -> Any:
        if type(n) is Graph:
            return with_sizes(n, sizes)
        return resolve(n, sizes) if type(n) is Dim else n

    def known(p: Any) -> Any:
        return tree.map_structure(known_part, p)

    calls = []
    for call in graph.calls:
        new = call.with_args(call.args)
        new.params = {k: known(p) for k, p in call.params.items()}
        calls.append(new)
    return graph.like(calls, graph.outputs)


def sizes_of(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[Dim, int]:
    """What free sizes are with these inputs."""
    return {n: size for v, a in zip(graph.inputs, inputs) for n, size in zip(v.shape, a.shape) if type(n) is Dim}


def op(name: str) -> Op:
    """An op by its name, as rows name them."""
    return OPS[name]
