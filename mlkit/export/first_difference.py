"""Where a file begins to answer something else than the model."""

from collections.abc import Callable, Sequence

import numpy as np

from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Tensor
from mlkit.export import golden
from mlkit.export.tracing import sizes_of, with_sizes


def first_difference(
    graph: Graph, inputs: Sequence[np.ndarray], run: Callable[[Graph, Sequence[np.ndarray]], Sequence[np.ndarray]]
) -> str:
    """In words, which call is the first one whose results differ; empty where none does alone.

    Args:
        graph: Of the model.
        inputs: For which answers differ.
        run: Function (graph, inputs) -> what the format's runtime gives for the graph's outputs.
    """
    values = [v for call in graph.calls for v in call.outs[:1]]
    every = graph.like(graph.calls, values)
    known = with_sizes(every, sizes_of(graph, inputs))
    wanted = [np.asarray(t.numpy()) for t in known.run(*(Tensor(np.array(a)) for a in inputs))]
    for call, a, b in zip(graph.calls, run(every, inputs), wanted):
        if golden.difference([np.asarray(a)], [b]) > 1:
            return f"; the first difference is in {named(call)}"
    return ""


def named(call: Call) -> str:
    """A call in words: its op and the layers it stands in."""
    return f"{call.op.name} of {'/'.join(map(str, call.place)) or 'the model itself'}"
