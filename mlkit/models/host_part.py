"""The host part of a layer graph: what looks at strings runs on each batch before the graph's program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.dtypes import STRING
from mlkit.core.typing import Structure
from mlkit.models.function import learn_sizes, run_nodes
from mlkit.objects.keras_tensor import KerasTensor, Node


class Prepared(dict):
    """What the host part of a model has made of its inputs, under numbers: a model is called on it as on the inputs."""


class HostPart:
    """How the nodes of a graph are shared out. In front run the host layers, which take or return strings (or say so,
    `Layer._runs_on_host`), with all that they need; behind, in the program, all other nodes that the outputs need. What both need is
    computed twice, so that gradients reach it. A model within the model that has a host part itself is prepared in front and called
    behind.

    front, behind: the nodes, in order. frontier: the KerasTensors that go over: inputs, and results of host layers. nested: the nodes
    behind that call models with host parts.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], nodes: Sequence[Node], name: str):
        behind, cut, nested, needed = [], [], [], {id(t) for t in outputs}
        for node in reversed(nodes):
            made = [t for t in node.output_tensors if id(t) in needed]
            if not made:
                continue
            if _is_host(node):
                cut += reversed(made)
                continue
            behind.append(node)
            is_nested = host_part_of(node.operation) is not None
            if is_nested:
                nested.append(node)
            rest = (node.args[1:], node.kwargs) if is_nested else (node.args, node.kwargs)
            needed.update(map(id, _symbols(rest)))
        self.inputs, self.behind, self.nested = inputs, behind[::-1], nested[::-1]
        self.frontier = [t for t in inputs if id(t) in needed] + cut[::-1]
        for t in self.frontier:
            if t.dtype == STRING:
                raise ValueError(
                    f"Model {name!r}: its output {t.name!r} is of strings, but a model returns tensors, which hold numbers. Let it "
                    "return the numbers, and turn these into strings behind it: layer(model.predict(x))."
                )
        needed = {id(t) for t in cut} | {id(t) for node in nested for t in _symbols(node.args[0])}
        front = []
        for node in reversed(nodes):
            if any(id(t) in needed for t in node.output_tensors):
                front.append(node)
                needed.update(map(id, node.input_tensors))
        self.front = front[::-1]

    def prepared(self, inputs: Sequence[Any]) -> Prepared:
        """What goes over, for inputs in the graph's order."""
        values, sizes = {}, {}
        for t, x in zip(self.inputs, inputs):
            values[id(t)] = x
            learn_sizes(t, x, sizes)
        run_nodes(self.front, values, sizes)
        over = [values[id(t)] for t in self.frontier]
        over += [node.operation._prepared(_looked_up(node.args[0], values)) for node in self.nested]
        return Prepared((f"{i:04}", x) for i, x in enumerate(over))

    def run(self, prepared: Prepared, outputs: Structure, call: Callable[..., Any] | None) -> Structure:
        """The outputs (a structure of KerasTensors) for what `prepared` gave."""
        over = [prepared[key] for key in sorted(prepared)]
        values, sizes = {}, {}
        for t, x in zip(self.frontier, over):
            values[id(t)] = x
            learn_sizes(t, x, sizes)
        given = {id(node): x for node, x in zip(self.nested, over[len(self.frontier) :])}
        run_nodes(self.behind, values, sizes, call, given)
        return tree.map_structure(lambda t: values[id(t)], outputs)


def host_part_of(operation: Any) -> HostPart | None:
    """That of a model made from KerasTensors, if it has one."""
    return getattr(getattr(operation, "_graph", None), "host", None)


def split(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], nodes: Sequence[Node], name: str) -> HostPart | None:
    """The host part of a graph, or None where all of it can be in a program."""
    takes_host = any(_is_host(node) or host_part_of(node.operation) is not None for node in nodes)
    return HostPart(inputs, outputs, nodes, name) if takes_host or any(t.dtype == STRING for t in inputs) else None


def _is_host(node: Node) -> bool:
    if getattr(node.operation, "_runs_on_host", False):
        return True
    strings = any(t.dtype == STRING for t in [*node.input_tensors, *_symbols(node.outputs)])
    return strings and host_part_of(node.operation) is None


def _symbols(structure: Structure) -> list[KerasTensor]:
    return [t for t in tree.flatten(structure) if isinstance(t, KerasTensor)]


def _looked_up(structure: Structure, values: dict[int, Any]) -> Structure:
    return tree.map_structure(lambda t: values[id(t)] if isinstance(t, KerasTensor) else t, structure)
