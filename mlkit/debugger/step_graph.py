"""StepGraph: the graph of a model's step with a name for every value in it, and for every call the part of the step it belongs to."""

import difflib
import functools
from collections.abc import Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.autograd import GRADIENT
from mlkit.core.graph import Call
from mlkit.core.interpreter import Handing, Interpreter
from mlkit.core.program import Program
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.data.batch import unpack_x_y_sample_weight

FORWARD, LOSS, UPDATE, METRICS = "forward", "loss", "update", "metrics"
PHASES = (FORWARD, LOSS, GRADIENT, UPDATE, METRICS)


class StepGraph:
    """A step of a model, traced.

    Args:
        model: A built model.
        method: Its step, a function of `data`.
        data: What the step gets, with NumPy arrays.

    Attributes:
        program: The trace, not compiled.
        calls: Its calls in their order.
        phases, layers, names: Of each call the part of the step, the path of the layer ("" outside of all) and a name of its own.
        values: Name -> `Value`, of inputs, variables (by path), what calls give, and logs.
        gradients: id of a Value -> the Value (or constant) that is the gradient of the loss for it.
    """

    def __init__(self, model: Any, method: Any, data: Any):
        self.data, self._model_name = data, model.name
        seen: list[Witness] = []

        def step(data: Any) -> Any:
            witness = Witness(state.top)
            seen[:] = [witness]
            try:
                with swapped(top=witness):
                    return method(data)
            finally:
                model._clear_losses()

        try:
            self.program = Program(step, (data,), {}, compiled=False)
        except TypeError as error:
            if "has no value" not in str(error):
                raise
            raise TypeError(
                f"debug: the step of {model.name!r} cannot be traced, for it looks at values while it runs: {error} A debugger runs "
                "the step's graph; write such conditions with ops.cond or ops.where."
            ) from error
        self.calls: list[Call] = self.program.graph.calls
        self.makers = {id(v): i for i, call in enumerate(self.calls) for v in call.outs}
        self.gradients = seen[0].gradients()
        first = len(self.program.graph.inputs) - self.program.graph.state
        self.inputs = self.program.graph.inputs[:first]
        self.variables = dict(zip(self.program.reads, self.program.graph.inputs[first:]))
        outputs = self.program.graph.outputs
        count = len(outputs) - len(self.program.writes)
        self.results, self.written = outputs[:count], dict(zip(self.program.writes, outputs[count:]))
        self.layers = ["/".join(p for p in call.place if p != GRADIENT) for call in self.calls]
        self.phases = self._phases(model)
        self.values: dict[str, Value] = {}
        self.names = self._name_all(data, seen[0].target)
        self.name_of = {id(v): name for name, v in reversed(self.values.items())}

    # ---- parts of the step ----------------------------------------------------------------------------------------------------------

    def _phases(self, model: Any) -> list[str]:
        optimizer = model.optimizer.variables if getattr(model, "optimizer", None) is not None else []
        trained = {id(v) for v in [*optimizer, *model.trainable_variables]}
        needed = self.ancestors([value for v, value in self.written.items() if id(v) in trained])
        metrics = {id(v) for v in model.metrics_variables}
        tracking = self.descendants([value for v, value in self.variables.items() if id(v) in metrics])
        backward = [i for i, call in enumerate(self.calls) if GRADIENT in call.place]
        first, last = (backward[0], backward[-1]) if backward else (len(self.calls), -1)
        placed = [i for i in range(first) if self.layers[i]]
        end = placed[-1] if placed else -1

        def phase(i: int) -> str:
            if GRADIENT in self.calls[i].place:
                return GRADIENT
            if i in tracking and i not in needed:
                return METRICS
            if i < first:
                return FORWARD if i <= end else LOSS
            if self.layers[i]:
                return FORWARD  # a layer called once more, as for a second loss
            if i in needed:
                return UPDATE if i > last else GRADIENT
            return METRICS

        return [phase(i) for i in range(len(self.calls))]

    def ancestors(self, values: Sequence[Any], without: Any = ()) -> set[int]:
        """Numbers of the calls that these values are computed by. without: ids of values that are known already."""
        found: set[int] = set()
        waiting = [v for v in values if type(v) is Value]
        while waiting:
            v = waiting.pop()
            i = self.makers.get(id(v))
            if i is not None and i not in found and id(v) not in without:
                found.add(i)
                waiting += self.calls[i].inputs
        return found

    def descendants(self, values: Sequence[Value]) -> set[int]:
        """Numbers of the calls that depend on these values."""
        found, known = set(), {id(v) for v in values}
        for i, call in enumerate(self.calls):
            if any(id(v) in known for v in call.inputs):
                found.add(i)
                known.update(map(id, call.outs))
        return found

    # ---- names ----------------------------------------------------------------------------------------------------------------------

    def _name_all(self, data: Any, target: Any) -> list[str]:
        parts = zip(("x", "y", "sample_weight"), unpack_x_y_sample_weight(data))
        names = [name for part, value in parts for name, leaf in named_leaves(part, value) if leaf is not None]
        self.values.update(zip(names, self.inputs))
        self.values.update({v.path: value for v, value in self.variables.items()})
        new = {id(value): f"{UPDATE}/{v.path}" for v, value in self.written.items()}
        counts: dict[str, int] = {}
        found = []
        for i, call in enumerate(self.calls):
            phase, layer = self.phases[i], self.layers[i]
            where = (layer, GRADIENT) if phase == GRADIENT else (layer,) if phase == FORWARD else (phase,)
            name = "/".join(filter(None, (*where, call.op.name)))
            if phase == UPDATE:
                name = next((new[id(v)] for v in call.outs if id(v) in new), name)
            counts[name] = counts.get(name, -1) + 1
            name = f"{name}_{counts[name]}" if counts[name] else name
            found.append(name)
            self.values.update({f"{name}:{k}" if k else name: v for k, v in enumerate(call.outs)})
            if phase == FORWARD and layer:
                parts = layer.split("/")
                for n in range(1, len(parts) + 1):  # what a layer gives is what the last call in it gives that others use
                    self._name_output("/".join(parts[:n]), call)
        if type(target) is Value:
            self.values["loss"] = target
        logs = tree.pack_sequence_as(self.program.out, [static is None for static in self.program.static])
        tensors = iter(self.results)
        for name, is_tensor in named_leaves("logs", logs):
            if is_tensor and type(value := next(tensors)) is Value:
                self.values[name] = value
        return found

    def _name_output(self, layer: str, call: Call) -> None:
        """Let a layer's name stand for what the call gives, unless that is only for the layer's own state."""
        if id(call.outs[0]) in self._for_state:
            return
        self.values[layer] = call.outs[0]

    @functools.cached_property
    def _for_state(self) -> set[int]:
        """ids of values that lead to new values of variables, and to nothing else."""
        used: set[int] = {id(v) for v in self.results}
        for call, phase in zip(reversed(self.calls), reversed(self.phases)):
            if phase != FORWARD or any(id(v) in used for v in call.outs):
                used.update(map(id, call.inputs))
        return {id(v) for call in self.calls for v in call.outs} - used

    def find(self, name: str) -> Value:
        """The value of a name; the model's own may be left out before it.

        Raises:
            ValueError: There is none; it says which are near.
        """
        value = self.values.get(name) or self.values.get(f"{self._model_name}/{name}")
        if value is None:
            near = difflib.get_close_matches(str(name), self.values, 5, 0.5) or list(self.values)[:5]
            raise ValueError(f"{name!r} is no value of this step. Near are {', '.join(map(repr, near))}; `names()` lists all.")
        return value


class Witness(Handing):
    """Hears, while a step is traced, of which tensors gradients are found. target: what the outermost walk back began with."""

    def __init__(self, outer: Interpreter):
        super().__init__(outer)
        self.witness = self
        self.target: Any = None
        self._made: list[Tensor] = []
        self._found: dict[tuple[int, int], Any] = {}

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        out = self.outer.apply(op, args, params)
        self._made += out if type(out) is tuple else (out,)
        return out

    def read(self, variable: Any) -> Tensor:
        self._made.append(t := self.outer.read(variable))
        return t

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        self._made += out if type(out) is tuple else (out,)
        self.outer.note(op, args, out)

    def differentiates(self, targets: Sequence[Tensor]) -> None:
        """A walk back begins."""
        if len(targets) == 1 and targets[0].shape == ():
            self.target = targets[0].data

    def found_gradients(self, node: int, gradients: Sequence[Tensor | None]) -> None:
        """The gradients of what a record gave; what is told last is of the outermost walk."""
        self._found.update({(node, k): g.data for k, g in enumerate(gradients) if g is not None})

    def gradients(self) -> dict[int, Any]:
        """id of a Value -> its gradient."""
        values: dict[tuple[int, int], list[Any]] = {}
        for t in self._made:
            if t.node is not None:
                values.setdefault((t.node, t.slot), []).append(t.data)
        return {id(v): g for key, g in self._found.items() for v in values.get(key, ())}


def named_leaves(name: str, structure: Any) -> list[tuple[str, Any]]:
    """(name, leaf) pairs of a structure: "x/age", "x/1"; a leaf by itself has the name."""
    return [("/".join(map(str, (name, *path))), leaf) for path, leaf in tree.flatten_with_path(structure)]
