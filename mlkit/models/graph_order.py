"""The order of the layers in a functional model, which is the order of its weights in lists and files: that of Keras 3."""

from collections.abc import Sequence
from typing import Any

from mlkit.objects.keras_tensor import KerasTensor, Node, node_of


def ordered_operations(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> list[Any]:
    """The distinct operations between KerasTensors, inputs' layers included.

    Sorted by their largest distance from the outputs, the farthest first; among equals, by when a depth-first walk from the
    outputs meets them. Inputs that no output needs come right before the operations of distance 0.
    """
    met, nodes = _walk(inputs, outputs)
    included = set(map(id, nodes))
    node_depth, depth = {}, {}  # by id of the node; by operation
    for node in reversed(nodes):
        here = max(node_depth.get(id(node), 0), depth.get(node.operation, 0))
        depth[node.operation] = here
        for parent in node.parents:
            if id(parent) in included:
                node_depth[id(parent)] = max(here + 1, node_depth.get(id(parent), 0))
    for operation in (t._keras_history.operation for t in inputs):
        if operation not in depth:
            depth[operation], met[operation] = 0, -1
    return sorted(depth, key=lambda op: (-depth[op], met[op]))


def _walk(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> tuple[dict[Any, int], list[Node]]:
    """Operations numbered as a depth-first walk from the outputs meets them, and the nodes, each after those it needs."""
    given = set(map(id, inputs))
    met, nodes, seen = {}, [], set()
    stack = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, finished = stack.pop()
        node = node_of(tensor)
        if finished:
            nodes.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        met.setdefault(node.operation, len(met))
        stack.append((tensor, True))
        if id(tensor) not in given:
            stack.extend((t, False) for t in reversed(node.input_tensors))
    return met, nodes
