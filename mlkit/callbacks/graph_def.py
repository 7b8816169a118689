"""A traced program as a GraphDef, TensorFlow's form of a graph, which TensorBoard draws with the layers as boxes."""

from typing import Any

from mlkit.callbacks.protos import attr_value_pb2, graph_pb2, node_def_pb2, tensor_shape_pb2, versions_pb2
from mlkit.core.autograd import GRADIENT
from mlkit.core.program import Program
from mlkit.core.spec import Spec
from mlkit.core.tensor import Value

_STEP = "step"  # box of what belongs to no layer: loss, metrics, optimizer


def graph_def(program: Program) -> bytes:
    """The serialized GraphDef of a program before any pass: a node for each input, variable and op.

    Ops stand in the boxes of the layers they were called in, those of the gradient in the same boxes within one of that name,
    and variables with their layers. What is assigned to a variable goes to its node "assign".
    """
    nodes = _Nodes()
    graph = program.graph
    first = len(graph.inputs) - graph.state
    for i, value in enumerate(graph.inputs[:first]):
        nodes.add(f"inputs/{i}", "Placeholder", (), [value])
    for variable, value in zip(program.reads, graph.inputs[first:]):
        nodes.add(variable.path, "Variable", (), [value])
    for call in graph.calls:
        place = [str(part) for part in call.place if part != GRADIENT]
        box = place or [_STEP]
        if GRADIENT in call.place:
            box = [GRADIENT, *place]
        nodes.add("/".join((*box, call.op.name)), call.op.name, call.inputs, call.outs, call.params)
    results = len(graph.outputs) - len(program.writes)
    for i, value in enumerate(graph.outputs[:results]):
        nodes.add(f"outputs/{i}", "Identity", [value], ())
    for variable, value in zip(program.writes, graph.outputs[results:]):
        nodes.add(f"{variable.path}/assign", "Assign", [value], ())
    return graph_pb2.GraphDef(node=nodes.made, versions=versions_pb2.VersionDef(producer=22)).SerializeToString()


class _Nodes:
    """The nodes so far, and which of them gives which value."""

    def __init__(self):
        self.made: list[Any] = []
        self._giving: dict[int, str] = {}  # id of a Value -> "node" or "node:output"
        self._names: dict[str, int] = {}  # name -> how often it was asked for

    def add(self, name, op, inputs, outs, params=None):
        name = self._unique(name.replace(" ", "_"))
        for i, value in enumerate(outs):
            self._giving[id(value)] = f"{name}:{i}" if i else name
        attributes = {key: attr_value_pb2.AttrValue(s=str(value)[:200].encode()) for key, value in (params or {}).items()}
        if outs:
            shapes = attr_value_pb2.AttrValue.ListValue(shape=[_shape(value.spec) for value in outs])
            attributes["_output_shapes"] = attr_value_pb2.AttrValue(list=shapes)  # shown along the edges
            attributes["dtype"] = attr_value_pb2.AttrValue(s=outs[0].spec.dtype.encode())
        givers = [self._giving[id(v)] for v in inputs if type(v) is Value]
        self.made.append(node_def_pb2.NodeDef(name=name, op=op, input=givers, attr=attributes))

    def _unique(self, name):
        count = self._names[name] = self._names.get(name, -1) + 1
        return name if not count else self._unique(f"{name}_{count}")


def _shape(spec: Spec):
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=d if isinstance(d, int) else -1) for d in spec.shape]
    return tensor_shape_pb2.TensorShapeProto(dim=dims)
