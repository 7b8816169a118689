"""Function: a part of a functional graph, from given KerasTensors to others, as something that can be run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mlkit.core import dtypes, names, tree
from mlkit.core.messages import explained, inside
from mlkit.core.spec import Dim, resolve, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.data.arrays import is_array
from mlkit.data.batch import to_numpy
from mlkit.objects.keras_tensor import KerasTensor, Node, RecordedOp, has_symbol, infer, node_of, record
from mlkit.objects.keras_tensor import symbol as symbol_of
from mlkit.ops import convert_to_tensor
from mlkit.primitives.convert import host_array


class Function:
    """Runs the calls that lead from `inputs` to `outputs` (structures of KerasTensors): feed and fetch at any place of a model.

    Args:
        inputs: KerasTensor, or a structure of them.
        outputs: KerasTensor, or a structure of them, computed from `inputs`.
        name: of the operation.

    >>> import mlkit
    >>> x = mlkit.Input((3,))
    >>> y = x * 2
    >>> mlkit.Function(x, y + 1)(mlkit.ops.ones((1, 3))).numpy()
    array([[3., 3., 3.]], dtype=float32)
    """

    def __init__(self, inputs: Structure, outputs: Structure, name: str | None = None):
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._inputs, self._outputs = tree.flatten(inputs), tree.flatten(outputs)
        for kind, tensors in (("inputs", self._inputs), ("outputs", self._outputs)):
            bad = [t for t in tensors if not isinstance(t, KerasTensor)]
            if bad or not tensors:
                raise ValueError(
                    f"Function: `{kind}` must be KerasTensors (made by Input and by layers), but got {bad or tensors}."
                )
        self.name = name or names.auto_name(type(self).__name__)
        self._inbound_nodes = []
        self._nodes = sort_nodes(self._inputs, self._outputs)
        self._operations = _distinct([n.operation for n in self._nodes])

    @property
    def operations(self) -> list[Any]:
        """The distinct layers and recorded functions, in the order they run."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        return list(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        return list(self._outputs)

    def __call__(self, inputs: Structure) -> Structure:
        if has_symbol((inputs,)):
            return record(self, self.run, (inputs,), {})

        return self.run(tree.map_structure(_as_value, inputs))

    def compute_output_spec(self, inputs: Structure) -> Any:
        """KerasTensors (in the structure of the outputs) that a call on such KerasTensors returns."""
        return tree.map_structure(symbol_of, infer(self.run, (inputs,), {}))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes of the outputs for inputs of these shapes (in the structure of the inputs)."""
        dtypes = iter([t.dtype for t in self._inputs])
        inputs = tree.map_shape_structure(lambda s: KerasTensor(s, next(dtypes)), input_shape)
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(inputs))

    def run(self, inputs: Structure, call: Callable[..., Any] | None = None) -> Structure:
        """The outputs for `inputs` (Tensors). `call(operation, args, kwargs)` may stand in for `operation(*args, **kwargs)`."""
        flat = tree.flatten(inputs)
        if len(flat) != len(self._inputs):
            raise ValueError(f"{self.name}: expected {len(self._inputs)} input(s), but got {len(flat)}.")
        values, sizes = {}, {}
        for symbol, x in zip(self._inputs, flat):
            values[id(symbol)] = x
            learn_sizes(symbol, x, sizes)
        run_nodes(self._nodes, values, sizes, call)
        return tree.pack_sequence_as(self._outputs_struct, [values[id(t)] for t in self._outputs])


def run_nodes(
    nodes: Iterable[Node],
    values: dict[int, Any],
    sizes: dict[Any, Any],
    call: Callable[..., Any] | None = None,
    given: Mapping[int, Any] = MappingProxyType({}),
) -> None:
    """Make the calls of these nodes, in order.

    values: id of a KerasTensor -> its value; it gets those of the results. sizes: unknown size -> what it is. call: see
    `Function.run`. given: id of a node -> what its call gets as first argument instead.
    """

    def look_up(a: Any) -> Any:
        if isinstance(a, KerasTensor):
            return values[id(a)]
        return resolve(a, sizes) if type(a) is Dim else a

    for node in nodes:
        if id(node) in given:
            rest, kwargs = tree.map_structure(look_up, (node.args[1:], node.kwargs))
            args = (given[id(node)], *rest)
        else:
            args, kwargs = tree.map_structure(look_up, (node.args, node.kwargs))
        operation = node.operation
        out = operation(*args, **kwargs) if call is None else call(operation, args, kwargs)
        for symbol, x in zip(node.output_tensors, tree.flatten(out)):
            values[id(symbol)] = x
            if isinstance(symbol, KerasTensor) and type(operation) is RecordedOp:
                learn_sizes(symbol, x, sizes)


def learn_sizes(symbol: KerasTensor, x: Tensor, sizes: dict[Any, Any]) -> None:
    """Note the unknown sizes of a KerasTensor as they are in its value."""
    for size, actual in zip(symbol.spec.shape, getattr(x, "shape", ())):
        if type(size) is Dim:
            sizes.setdefault(size, actual)


def _as_value(x: Any) -> Any:
    """A tensor, or an array of strings as it is."""
    if type(x) is Tensor:
        return x
    array = host_array(x)
    return array if dtypes.is_string(array) else convert_to_tensor(x)


def _distinct(items: Iterable[Any]) -> list[Any]:
    return list({id(x): x for x in items}.values())


def sort_nodes(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> list[Node]:
    """The nodes between inputs and outputs, each after those it needs. Raises ValueError if an output needs an input not
    given."""
    given = set(map(id, inputs))
    order, state = [], {}
    stack = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, finished = stack.pop()
        if id(tensor) in given and not finished:
            continue
        if tensor._keras_history is None or not node_of(tensor).input_tensors:
            raise explained(
                ValueError(
                    f"The outputs depend on {tensor}, which is neither among the inputs nor computed from them. "
                    "Pass it as an input, or connect it to the inputs."
                ),
                "the-outputs-depend-on-which-is-neither-among-the-inputs-nor-computed-from-them",
            )
        node = node_of(tensor)
        if finished:
            if state.get(id(node)) != "done":
                state[id(node)] = "done"
                order.append(node)
            continue
        if id(node) in state:
            continue
        state[id(node)] = "open"
        stack.append((tensor, True))
        stack.extend((t, False) for t in reversed(node.input_tensors))
    return order


def input_shapes(function: "Function") -> Any:
    """Shapes of a Function's inputs, in their structure."""
    return tree.map_structure(lambda t: show(t.spec.shape), function._inputs_struct)


def is_functional_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


def split_functional(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """(inputs or None, outputs or None, other keyword arguments) of a call of `Model`."""
    kwargs = dict(kwargs)
    if not is_functional_call(args, kwargs):
        if args:
            raise ValueError("Model: pass both `inputs` and `outputs`, or keyword arguments only.")
        return None, None, kwargs
    named = dict(zip(("inputs", "outputs", "name"), args))
    kwargs.update(named)
    return kwargs.pop("inputs"), kwargs.pop("outputs"), kwargs


def build_by_calling(model: Any, input_shape: Structure) -> None:
    """Build a model that has a `call` of its own for inputs of this shape, by running that on shapes."""
    dtype = dtypes.single_of(model.compute_dtype)
    try:
        infer(model.call, (tree.map_shape_structure(lambda s: KerasTensor(s, dtype), input_shape),), {})
    except Exception as error:
        raise ValueError(
            f"Model {model.name!r} could not be built by calling it on inputs of shape {input_shape}: {inside(error)}. "
            "If its `call` needs other inputs, build it by calling it on real data."
        ) from error


def with_arrays(inputs: Structure) -> Structure:
    """Lists of numbers or strings as arrays: one input each."""
    if isinstance(inputs, (list, tuple)):
        return to_numpy(inputs) if is_array(inputs) else type(inputs)(map(with_arrays, inputs))
    return {k: with_arrays(v) for k, v in inputs.items()} if isinstance(inputs, dict) else inputs
