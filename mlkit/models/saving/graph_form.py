"""The graph of a functional model as config, and back: its layers, and for each the calls that were made of it."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.spec import Dim
from mlkit.core.typing import Structure
from mlkit.models.saving import op_names
from mlkit.objects.keras_tensor import KerasTensor, RecordedOp
from mlkit.objects.registry import custom_object_scope
from mlkit.objects.serialization import at, deserialize_keras_object, keras_tensor_form, serialize_keras_object

_ENTRIES = ("layers", "input_layers", "output_layers")  # of a config

# ---- writing -------------------------------------------------------------------------------------------------------------


def functional_config(model: Any) -> dict[str, Any]:
    """The config of a functional model: its layers, and the calls that connect them, in Keras's form."""
    graph = model._graph
    form = graph_config(model.operations, graph._nodes, graph._inputs_struct, graph._outputs_struct)
    return {"name": model.name, "trainable": model.trainable, **form}


def graph_config(operations: Sequence[Any], nodes: Sequence[Any], inputs: Structure, outputs: Structure) -> dict[str, Any]:
    """The entries "layers", "input_layers" and "output_layers" of a functional model's config.

    operations: layers and recorded functions in the model's order. nodes: the calls that belong to the model. inputs, outputs:
    structures of KerasTensors.
    """
    kept = set(map(id, nodes)) | {id(n) for op in operations for n in op._inbound_nodes if not n.input_tensors}
    number = {}  # id of a call -> its place among the kept calls of its operation
    for op in operations:
        for i, node in enumerate(n for n in op._inbound_nodes if id(n) in kept):
            number[id(node)] = i

    def place(tensor):
        op, index, slot = tensor._keras_history
        # Keras counts calls of a nested functional model from 1 here, though from 0 in the calls' arguments
        return [op.name, number[id(op._inbound_nodes[index])] + _is_functional(op), slot]

    return {
        "layers": [_operation_form(op, [n for n in op._inbound_nodes if id(n) in kept], number) for op in operations],
        "input_layers": tree.map_structure(place, inputs),
        "output_layers": tree.map_structure(place, outputs),
    }


def _is_functional(operation):
    return getattr(operation, "_is_functional", False)


def _operation_form(operation, nodes, number):
    calls = [n for n in nodes if n.input_tensors]
    if isinstance(operation, RecordedOp):
        return _recorded_form(operation, calls, number)
    form = serialize_keras_object(operation)
    return {**form, "name": operation.name, "inbound_nodes": [_call_form(n.args, n.kwargs, number) for n in calls]}


def _recorded_form(operation, calls, number):
    module, name = op_names.class_of(operation.fn)
    forms = [op_names.to_class_form(operation.fn, n.args, n.kwargs) for n in calls]
    options = [serialize_keras_object(config) for _, config in forms]
    if any(o != options[0] for o in options):
        raise ValueError(
            f"The operation {operation.name!r} was called with different options, which a file cannot hold: {options}."
        )
    return {
        "module": module,
        "class_name": name,
        "config": {"name": operation.name, **options[0]},
        "registered_name": name,
        "name": operation.name,
        "inbound_nodes": [_call_form(tuple(args), {}, number) for args, _ in forms],
    }


def _call_form(args: tuple[Any, ...], kwargs: dict[str, Any], number):
    def one(value):
        if isinstance(value, Dim):
            raise ValueError(
                "A call depends on a size that is not known until the model runs, which a file cannot hold. Use -1 in "
                "ops.reshape, or put the computation into a layer's call()."
            )
        if not isinstance(value, KerasTensor):
            return serialize_keras_object(value)
        form = keras_tensor_form(value)
        operation, index, slot = value._keras_history
        form["config"]["keras_history"] = [operation.name, number[id(operation._inbound_nodes[index])], slot]
        return form

    return {"args": tree.map_structure(one, args), "kwargs": tree.map_structure(one, kwargs)}


# ---- reading -------------------------------------------------------------------------------------------------------------


def is_functional_config(config: Any) -> bool:
    """Whether a config describes a layer graph."""
    return all(key in config for key in ("name", *_ENTRIES))


def functional_from_config(cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of class `cls` with the layer graph of a config."""
    with custom_object_scope(custom_objects or {}):
        inputs, outputs = read_graph(config)
    options = {k: v for k, v in config.items() if k not in _ENTRIES}
    trainable = options.pop("trainable", True)
    model = cls(inputs=inputs, outputs=outputs, **options)
    if trainable is False:
        model.trainable = False
    return model


def read_graph(config: dict[str, Any]) -> Any:
    """(inputs, outputs), structures of KerasTensors, from the entries that `graph_config` made.

    Layers are made first, then called in an order in which each finds its arguments; the time is linear in the number of calls.
    Raises ValueError for names that occur twice or are missing, and for calls that depend on one another in a circle.
    """
    operations, calls = {}, {}
    with at("layers"):
        for i, entry in enumerate(config["layers"]):
            with at(i):
                name = entry.get("name", entry["config"].get("name"))
                if name in operations:
                    raise ValueError(f"Two layers of the model have the name {name!r}.")
                operations[name] = _operation(entry)
                calls[name] = [_arguments(node) for node in entry["inbound_nodes"]]
        _run(operations, calls)

    def tensor(leaf):
        name, index, slot = leaf
        operation = _known(operations, name)
        return _output(operation, index - _is_functional(operation), slot)

    with at("input_layers"):
        inputs = _map_places(tensor, config["input_layers"])
    with at("output_layers"):
        return inputs, _map_places(tensor, config["output_layers"])


class _SavedOp:
    """A function of mlkit.ops together with the options a file holds for it."""

    def __init__(self, fn, config):
        self.options = {k: deserialize_keras_object(v) for k, v in config.items() if k != "name"}
        self.recorded = RecordedOp(fn, name=config.get("name"))
        self.name = self.recorded.name
        self._inbound_nodes = self.recorded._inbound_nodes

    def __call__(self, *args, **kwargs):
        args, kwargs = op_names.from_class_form(self.recorded.fn, args, kwargs, self.options)
        return self.recorded(*args, **kwargs)


def _operation(entry):
    if not op_names.is_operation(entry.get("module")):
        return deserialize_keras_object({k: v for k, v in entry.items() if k not in ("name", "inbound_nodes")})
    fn = op_names.function_of(entry["module"], entry["class_name"])
    if fn is None:
        raise ValueError(f"mlkit has no operation {entry['class_name']!r} of {entry['module']!r}.")
    return _SavedOp(fn, entry["config"])


def _arguments(node):
    """(args, kwargs) of a saved call, with placeholders for tensors."""
    if isinstance(node, dict):
        return tuple(deserialize_keras_object(node["args"])), deserialize_keras_object(node["kwargs"])
    # up to Keras 2: [[layer, call, output, kwargs], ...]
    placeholders = [_placeholder(p[:3]) for p in node]
    named = dict(node[0][3]) if len(node[0]) > 3 else {}
    return (placeholders[0] if len(placeholders) == 1 else placeholders,), {k: _old_argument(v) for k, v in named.items()}


def _old_argument(value):
    """An argument by name: a tensor as [layer, call, output], else as it is."""
    is_place = (
        isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and all(type(n) is int for n in value[1:])
    )
    return _placeholder(value) if is_place else value


def _placeholder(history):
    tensor = KerasTensor((), "float32")
    tensor._pre_serialization_keras_history = history
    return tensor


def _history(value):
    return getattr(value, "_pre_serialization_keras_history", None) if isinstance(value, KerasTensor) else None


def _run(operations, calls):
    """Make all calls, each as soon as those it waits for have been made."""
    waiting, followers = {}, collections.defaultdict(list)  # call -> how many it waits for; call -> those that wait for it
    ready = collections.deque()
    for name, saved in calls.items():
        for i, arguments in enumerate(saved):
            needs = {(name, i - 1)} if i else set()
            for history in filter(None, map(_history, tree.flatten(arguments))):
                needs.add((history[0], history[1]))
            needs = {n for n in needs if _is_call(calls, n)}
            waiting[name, i] = len(needs)
            for n in needs:
                followers[n].append((name, i))
            if not needs:
                ready.append((name, i))
    entry = {name: i for i, name in enumerate(operations)}
    while ready:
        name, i = call = ready.popleft()
        with at(entry[name]):
            args, kwargs = tree.map_structure(lambda v: _resolved(v, operations), calls[name][i])
            operations[name](*args, **kwargs)
        del waiting[call]
        for follower in followers[call]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if waiting:
        stuck = ", ".join(repr(name) for name, _ in list(waiting)[:5])
        raise ValueError(f"The graph has a circle, or calls that depend on missing ones: {stuck} cannot be connected.")


def _is_call(calls, need):
    """Whether there is such a call to wait for; an input layer has made its only one already."""
    name, index = need
    if name not in calls:
        raise ValueError(f"A layer is connected to {name!r}, which is not among the layers.")
    return bool(calls[name]) or index != 0


def _resolved(value, operations):
    history = _history(value)
    return value if history is None else _output(_known(operations, history[0]), history[1], history[2])


def _known(operations, name):
    if name not in operations:
        raise ValueError(f"There is no layer {name!r} among the layers.")
    return operations[name]


def _output(operation, index, slot):
    nodes = operation._inbound_nodes
    if not (type(index) is int and 0 <= index < len(nodes)) or not (
        type(slot) is int and 0 <= slot < len(nodes[index].output_tensors)
    ):
        raise ValueError(f"Layer {operation.name!r} has no output {slot!r} of call {index!r}.")
    return nodes[index].output_tensors[slot]


def _map_places(function: Callable[..., Any], structure):
    """`function` applied to each [name, call, output] of a structure."""
    if isinstance(structure, dict):
        return {k: _map_places(function, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        if len(structure) == 3 and isinstance(structure[0], str):
            return function(structure)
        return [_map_places(function, s) for s in structure]
    raise ValueError(f"Expected [layer, call, output], but got {structure!r}.")
