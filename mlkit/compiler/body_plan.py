"""The plan of a loop's body: what is carried from turn to turn has a fixed place, into which a new value is written where it can be."""

from collections.abc import Callable, Collection
from typing import Any

from mlkit.compiler.passes import inplace
from mlkit.compiler.plan import Plan, Storage
from mlkit.core.graph import Graph
from mlkit.core.tensor import Value


class BodyPlan(Plan):
    """Inputs of the graph are in order `slices` ones that are others in each turn, `carry` ones that are carried, and what stays the
    same. Outputs are the carried values' new ones and then those that are stacked.

    steady: numbers of inputs that are values of variables which no program changes meanwhile
    late: pairs (number of a carried value, what it is to be at the end of a turn) where that has another place
    direct: numbers of outputs that are best written where they are stacked
    """

    def __init__(self, graph: Graph, choose: Callable[..., Any], slices: int, carry: int, steady: Collection[int] = ()) -> None:
        self.slices, self.carry = slices, carry
        self._steady_inputs = {id(graph.inputs[i]) for i in steady}
        self.late: list[tuple[int, Any]] = []
        self.direct: set[int] = set()
        super().__init__(graph, choose)

    @property
    def carried(self) -> list[Value]:
        """The inputs that are carried."""
        return self.graph.inputs[self.slices : self.slices + self.carry]

    def _unchanging(self) -> set[int]:
        return self._steady_inputs

    def _keep_outputs(self, own: bool) -> None:
        graph, end = self.graph, len(self.graph.calls)
        self.copies: set[int] = set()
        for v in graph.outputs:
            if type(v) is Value:
                self.place(v).storage.last = end
        self._fix_slices()
        places = [self.place(v).storage for v in self.carried]
        for storage in places:
            storage.kind = "arena"
        for k, storage in enumerate(places):
            if not self._joins(k, storage):
                self.late.append((k, graph.outputs[k]))
        for storage in places:
            storage.last = end
        self._find_direct()

    def _fix_slices(self) -> None:
        """A slice has a fixed place, into which it is copied, if somebody looks at it in another way or is bound to memory."""
        given = {id(self.place(v).storage): v for v in self.graph.inputs[: self.slices]}
        for call, choice in zip(self.graph.calls, self.choices):
            if choice.prepared is not None or self.is_view(call):
                for a in call.inputs:
                    storage = self.place(a).storage
                    if id(storage) in given:
                        storage.kind = "arena"

    def _joins(self, k: int, storage: Storage) -> bool:
        """Have the new value of what is carried written where the old one lies, if nobody reads that any more."""
        new, old = self.graph.outputs[k], self.carried[k]
        if type(new) is not Value or storage.last >= len(self.graph.calls):
            return False
        result = self.place(new).storage
        if result.kind != "arena" or result.owner is not new or (new.shape, new.dtype) != (old.shape, old.dtype):
            return False
        i = result.first
        if i < 0 or storage.last > i:
            return False
        if storage.last == i and not self._is_overwritten_there(i, new, storage):
            return False
        storage.last = max(storage.last, result.last)
        result.merged = storage
        return True

    def _is_overwritten_there(self, i: int, new: Value, storage: Storage) -> bool:
        call, choice = self.graph.calls[i], self.choices[i]
        out = call.outs.index(new)
        partners = [k for o, k in choice.inplace if o == out]
        there = [k for k in partners if type(call.args[k]) is Value and self.place(call.args[k]).storage is storage]
        result = self.place(new).storage
        return any(
            inplace.may_take(self, i, call.args[k], result, None) and inplace.is_read_in_time(self, call, k, partners)
            for k in there
        )

    def _find_direct(self) -> None:
        outputs = self.graph.outputs
        for j in range(self.carry, len(outputs)):
            v = outputs[j]
            if type(v) is not Value or not v.shape or sum(o is v for o in outputs) > 1:
                continue
            storage = self.place(v).storage
            if (
                storage.kind == "arena"
                and storage.owner is v
                and storage.first >= 0
                and self.choices[storage.first].prepared is None
            ):
                storage.kind = "fresh"
                self.direct.add(j)
