"""A training step as a compiled program that also says whether what its layers give is finite, and what it looks like."""

from collections.abc import Callable
from typing import Any

from mlkit import ops
from mlkit.core import tree
from mlkit.core.function import Traced, function
from mlkit.core.graph import Graph
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.debugger.coverage import looked_at
from mlkit.debugger.step_graph import StepGraph

STATISTICS = ("mean", "std", "min", "max")  # of what a layer gives
NORMS = ("value", "gradient", "change")  # of a variable


def checked_step(model: Any, method: Callable[[Any], Any], key: Callable[[], Any], statistics: bool = False) -> Traced:
    """A compiled function (data) -> (logs, sums, rows).

    sums: a vector that is finite if, and but for overflow only if, what all layers give is finite, and the gradients are. rows: dict
    from a layer's path to the mean, deviation, least and largest of what it gives; from a variable's path to the norms of its
    value, gradient and change. Empty unless `statistics`.
    """

    def step(data: Any) -> Any:
        graph = StepGraph(model, method, data)
        layers = {n: graph.values[n] for n in dict.fromkeys(graph.layers) if n in graph.values} if statistics else {}
        layers = {n: v for n, v in layers.items() if v.dtype == "float32"}
        trained = [v for v in graph.variables if v.trainable and v.dtype == "float32"] if statistics else []
        looked = list(looked_at(graph).values())
        gradients = [graph.gradients.get(id(graph.variables[v]), 0.0) for v in trained]
        found = _run(graph, [*looked, *layers.values(), *gradients])
        logs, written, values = found[0], found[1], iter(found[2])
        sums = ops.stack([ops.sum(ops.cast(next(values), "float32")) for _ in looked]) if looked else ops.zeros(1)
        rows = {n: _of_layer(next(values)) for n in layers}
        for v in trained:
            old, g = state.top.read(v), next(values)
            rows[v.path] = ops.stack([_norm(old), _norm(g), _norm(written.get(v, old) - old)])
        for v, t in written.items():
            state.top.write(v, t)
        return logs, sums, rows

    step.__name__ = f"train_step of {model.name!r}, looked into"
    return function(step, key=key)


def _run(graph: StepGraph, wanted: list[Any]) -> tuple[Any, dict[Any, Tensor], list[Any]]:
    """Stage the graph's calls. The step's result, what it writes, and the values that are wanted."""
    own = graph.program.graph
    both = Graph(own.inputs, own.calls, [*own.outputs, *wanted])
    arrays = [t for t in tree.flatten(graph.data) if t is not None]
    out = both.run(*arrays, *map(state.top.read, graph.variables))
    results, first = len(graph.results), len(own.outputs)
    logs = graph.program._packed([t.data for t in out[:results]])
    return logs, dict(zip(graph.written, out[results:first])), out[first:]


def _of_layer(x: Tensor) -> Tensor:
    return ops.stack([ops.mean(x), ops.std(x), ops.min(x), ops.max(x)])


def _norm(x: Any) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(ops.convert_to_tensor(x, "float32"))))
