"""Tracing the body of a control-flow op: a graph of its own that says what it takes from outside."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlkit.core.spec import Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor, Value, Wrapped
from mlkit.core.trace import Trace


class Body(Trace):
    """The trace of one body. Its graph's inputs are, in order: the explicit ones, what it captured from the traces around it,
    and the variables it read, once `close` has put them there."""

    out: Any  # what the function returned

    def __init__(self, specs: Iterable[Spec]):
        super().__init__()
        self.explicit = [self.input(s) for s in specs]
        self.own = set(map(id, self.graph.inputs))  # the Values that belong to this graph
        # (id of an outer Value, place on the outer tape) -> (outer Tensor, inner Tensor)
        self.captured: dict[Any, tuple[Tensor, Tensor]] = {}

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        out = super().apply(op, args, params)
        self.own.update(id(t.data) for t in (out if type(out) is tuple else (out,)))
        return out

    def data_of(self, tensor: Tensor) -> Any:
        """The data of a tensor; a Value of a trace around this one, and what tapes may know, becomes an input of the graph."""
        v = tensor.data
        if (tensor.node is None and not isinstance(v, (Value, Wrapped))) or id(v) in self.own:
            return v
        key = id(v), tensor.node, tensor.slot
        if key not in self.captured:
            self.captured[key] = tensor, Tensor(Value(tensor.spec))
        return self.captured[key][1].data

    def read_first(self, variable: Any) -> Tensor:
        tensor = super().read_first(variable)
        self.own.add(id(tensor.data))
        return tensor

    def close(self, outputs: Sequence[Any], carried: Sequence[Any] = ()) -> Any:
        """Finish the graph. outputs: Tensors; carried: variables that are state of a loop, whose values at the start come right
        behind the explicit inputs. Returns what all other inputs are outside: the op's last operands."""
        for v in carried:
            self.read_first(v)
        self.graph.outputs = [self.data_of(t) for t in outputs]
        others = [v for v in self.reads if v not in set(carried)]
        formal = [self.reads[v] for v in carried] + [t for _, t in self.captured.values()] + [self.reads[v] for v in others]
        self.graph.inputs += [t.data for t in formal]
        return [outer for outer, _ in self.captured.values()] + [v.tracked_value() for v in others]


def trace_body(fn: Callable[..., Any], specs: Iterable[Spec]) -> Body:
    """Trace ``fn(*tensors)`` as a body; the Body, with what fn returned as its `out`."""
    body = Body(specs)
    with swapped(top=body):
        body.out = fn(*body.explicit)
    return body
