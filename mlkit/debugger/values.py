"""Values: what the values of a step's graph are, computed call by call, and anew where they have been dropped or changed."""

from collections import OrderedDict
from typing import Any

from mlkit.core.call import CallContext
from mlkit.core.interpreter import EAGER
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.debugger.step_graph import StepGraph

KEPT_BYTES = 1 << 30  # of computed values; what lies longest is dropped and computed anew when it is asked for


class Values:
    """Of a graph and the values of its inputs.

    Args:
        graph: The step.
        inputs: id of a Value -> Tensor, of inputs and variables. They stay as they are whatever happens to the variables.
    """

    def __init__(self, graph: StepGraph, inputs: dict[int, Tensor]):
        self.graph, self.inputs = graph, inputs
        self.given: dict[int, Tensor] = {}  # set by the user
        self._computed: OrderedDict[int, Tensor] = OrderedDict()
        self._bytes = 0

    def known(self, v: Any) -> Tensor | None:
        """The value, if it need not be computed."""
        for values in (self.given, self.inputs, self._computed):
            if id(v) in values:
                return values[id(v)]
        return None

    def get(self, v: Any) -> Any:
        """The value of a `Value`, or what a constant is."""
        if type(v) is not Value:
            return v if v is None or isinstance(v, (int, float, complex)) else Tensor(v)
        found = self.known(v)
        if found is not None:
            return found
        fresh: dict[int, Tensor] = {}
        without = {*self.given, *self.inputs, *self._computed}
        for i in sorted(self.graph.ancestors([v], without)):
            fresh.update(self._run(i, fresh))
        self._keep(fresh)
        return fresh[id(v)]

    def run(self, i: int) -> tuple[tuple[Any, ...], tuple[Tensor, ...]]:
        """Run a call. Its arguments and what it gives, with what was set in place of what was computed."""
        call = self.graph.calls[i]
        args = tuple(map(self.get, call.args))
        known = {id(v): a for v, a in zip(call.args, args) if type(v) is Value}
        self._keep(self._run(i, known))
        return args, tuple(self.get(v) for v in call.outs)

    def set(self, v: Value, tensor: Tensor) -> None:
        """Let it have another value; what was computed from it is forgotten."""
        self.given[id(v)] = tensor
        self.forget(self.graph.descendants([v]))

    def forget(self, calls: Any, given: bool = False) -> None:
        """Drop what these calls gave; given: also where it was set."""
        for i in calls:
            for v in self.graph.calls[i].outs:
                self._drop(id(v))
                if given and self.given.pop(id(v), None) is not None:
                    self.forget(self.graph.descendants([v]))

    def _run(self, i: int, known: dict[int, Tensor]) -> dict[int, Tensor]:
        call = self.graph.calls[i]
        args = [known[id(a)] if type(a) is Value and id(a) in known else self.get(a) for a in call.args]
        with swapped(top=EAGER, call=CallContext(call.place)):
            out = call.op(*args, **call.params)
        outs = out if type(out) is tuple else (out,)
        return {id(v): self.given.get(id(v), t) for v, t in zip(call.outs, outs)}

    def _keep(self, fresh: dict[int, Tensor]) -> None:
        for key, tensor in fresh.items():
            self._drop(key)
            self._computed[key] = tensor
            self._bytes += tensor.data.nbytes
        while self._bytes > KEPT_BYTES and len(self._computed) > len(fresh):
            self._drop(next(iter(self._computed)))

    def _drop(self, key: int) -> None:
        tensor = self._computed.pop(key, None)
        if tensor is not None:
            self._bytes -= tensor.data.nbytes
