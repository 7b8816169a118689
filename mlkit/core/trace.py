"""Trace: a graph under construction, into which a function's calls are staged while it runs once on symbols."""

from typing import Any

from mlkit.core.call import CallContext
from mlkit.core.graph import Graph
from mlkit.core.interpreter import Composed, Interpreter, symbolic, wrap
from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor, Value


class Trace(Interpreter):
    """A graph under construction, with the variables read (graph inputs) and assigned (graph outputs) on the way."""

    assigns = has_values = False

    def __init__(self, graph: Graph | None = None):
        self.graph = graph or Graph()
        self.reads: dict[Any, Tensor] = {}  # variable -> the Tensor that stands for its value at the start
        self.writes: dict[Any, Tensor] = {}  # variable -> the Tensor last assigned to it

    @property
    def trace(self) -> "Trace":
        return self

    def input(self, spec: Spec) -> Tensor:
        """A Tensor that stands for a new input of the graph."""
        value = Value(spec)
        self.graph.inputs.append(value)
        return Tensor(value)

    def apply(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Add a call to the graph; one with an argument that is known by its spec only has a result of that kind."""
        data = []
        for a in args:
            if type(a) is Tensor:
                if type(a.data) is Spec:
                    return symbolic(op, args, params)
                a = self.data_of(a)
            data.append(a)
        try:
            return wrap(self.graph.add(op, data, params))
        except ShapesDiffer as refusal:
            raise Composed(refusal) from None

    def data_of(self, tensor: Tensor) -> Any:
        """What the graph holds for a tensor."""
        return tensor.data

    def read(self, variable: Any) -> Tensor:
        """The variable's value at this point."""
        return self.writes[variable] if variable in self.writes else self.read_first(variable)

    def read_first(self, variable: Any) -> Tensor:
        """The variable's value at the start."""
        if variable not in self.reads:
            self.reads[variable] = Tensor(Value(variable._value.spec), variable._value.node)
        return self.reads[variable]

    def write(self, variable: Any, tensor: Tensor) -> None:
        self.writes[variable] = Tensor(tensor.data, variable._value.node)


def trace_into(graph: Graph, place: tuple[Any, ...] = ()) -> Any:
    """A block whose ops are staged at the end of an existing graph, untaped, in the name of the layers in `place`."""
    return swapped(top=Trace(graph), call=CallContext(place))
