"""The layer graph of a model made from KerasTensors: its layers, and how a call of the model runs them."""

import warnings
from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core import dtypes, tree
from mlkit.core.messages import explained
from mlkit.core.spec import Spec, show
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers.input_layer import Input, InputLayer
from mlkit.layers.layer import Layer
from mlkit.models.function import Function
from mlkit.models.graph_order import ordered_operations
from mlkit.models.host_part import Prepared, split
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.primitives.convert import host_array


class LayerGraph(Function):
    """The layers between KerasTensors, as a model runs them: inputs may come in any structure that says which is which.

    name: the model's. any_sizes: whether nobody stated the inputs' sizes; then the layers say which other sizes are right.
    """

    def __init__(self, inputs: Structure, outputs: Structure, name: str, any_sizes: bool = False):
        inputs = tree.map_structure(_checked_input, inputs)
        new_inputs = tree.map_structure(_as_input, inputs)
        if any(a is not b for a, b in zip(tree.flatten(inputs), tree.flatten(new_inputs))):
            outputs = Function(inputs, outputs).run(new_inputs)  # inputs in the middle of a graph: copy what comes after
            inputs = new_inputs
        super().__init__(inputs, outputs, name)
        self._operations = ordered_operations(self._inputs, self._outputs)  # Keras's order, input layers included
        self._any_sizes = any_sizes
        self.host = split(self._inputs, self._outputs, self._nodes, name)

    @property
    def layers(self) -> list[Layer]:
        """The layers among the operations."""
        return [op for op in self._operations if isinstance(op, Layer)]

    @property
    def input_names(self) -> list[str]:
        return [t._keras_history.operation.name for t in self._inputs]

    @property
    def output_names(self) -> list[str]:
        return [t._keras_history.operation.name for t in self._outputs]

    def call(self, inputs: Structure, mask: Structure = None) -> Structure:
        """The outputs for inputs as a model is given them, or prepared, and their masks."""
        if self.host is not None:
            return self._behind_host(inputs if type(inputs) is Prepared else self.prepared(inputs))
        inputs = self._standardized(inputs)
        for x, m in zip(tree.flatten(inputs), tree.flatten(mask) if mask is not None else ()):
            if m is not None:
                x._keras_mask = m
        return self.run(inputs, None if state.call.training is None else _call_as_told)

    def prepared(self, inputs: Structure) -> Prepared:
        """What the host part makes of inputs as a model is given them."""
        return self.host.prepared(tree.flatten(self._standardized(inputs)))

    def _behind_host(self, prepared: Prepared) -> Structure:
        return self.host.run(prepared, self._outputs_struct, None if state.call.training is None else _call_as_told)

    def _standardized(self, inputs: Structure) -> Structure:
        """The given inputs in the structure of the graph's; missing last axes of size 1 are added, extra ones dropped."""
        struct = self._inputs_struct
        symbols = self._inputs
        self._check_structure(inputs)
        if isinstance(inputs, dict) and not isinstance(struct, dict):
            flat = self._by_name(inputs)
        elif isinstance(struct, dict) and isinstance(inputs, dict):
            missing = [k for k in struct if k not in inputs]
            if missing:
                raise ValueError(
                    f"Model {self.name!r} has inputs {list(struct)}, but {missing} are missing among {list(inputs)}."
                )
            flat = tree.flatten({k: inputs[k] for k in struct})
        else:
            flat = tree.flatten(inputs)
        if len(flat) != len(symbols):
            hint = (
                " A list of numbers is that many inputs: pass an array." if any(type(x) in (int, float) for x in flat) else ""
            )
            raise ValueError(
                f"Model {self.name!r} has {len(symbols)} input(s) {self.input_names}, but {len(flat)} were given.{hint}"
            )
        return tree.pack_sequence_as(struct, [self._fitted(x, s) for x, s in zip(flat, symbols)])

    def _check_structure(self, inputs: Structure) -> None:
        """Warn of inputs in another structure than the model's; an error where their order would be a guess."""
        struct = self._inputs_struct
        by_name = isinstance(inputs, dict) and not isinstance(struct, dict)
        alone = not tree.is_nested(inputs) and len(self._inputs) == 1 and not isinstance(struct, dict)
        if by_name or alone:
            return
        try:
            tree.assert_same_structure(tree.lists_to_tuples(inputs), tree.lists_to_tuples(struct))
        except ValueError as error:
            expected = tree.map_structure(lambda t: t.name, struct)
            given = tree.map_structure(lambda x: f"Tensor(shape={show(x.shape)})" if hasattr(x, "shape") else x, inputs)
            message = (
                f"The structure of `inputs` doesn't match the expected structure of model {self.name!r}.\n"
                f"Expected: {expected}\nReceived: {given}"
            )
            if isinstance(struct, dict) and not isinstance(inputs, dict) and list(struct) != sorted(struct):
                raise ValueError(message) from error
            if not any(type(getattr(x, "data", None)) is Spec for x in tree.flatten(inputs)):  # said once: when it runs on data
                warnings.warn(message, stacklevel=2)

    def _by_name(self, inputs: Structure) -> Structure:
        missing = [n for n in self.input_names if n not in inputs]
        if missing:
            raise ValueError(
                f"Model {self.name!r} has inputs {self.input_names}, but {missing} are missing among {list(inputs)}."
            )
        return [inputs[n] for n in self.input_names]

    def _fitted(self, x, symbol):
        if x is None:
            if symbol._keras_history.operation.optional:
                return None
            raise ValueError(f"Model {self.name!r}: the input {symbol.name!r} is None, but it is not optional.")
        if symbol.dtype == dtypes.STRING:
            return self._fitted_strings(x, symbol)
        expected = show(symbol.spec.shape)
        if not isinstance(x, (Tensor, KerasTensor)):
            x = ops.convert_to_tensor(x)
        mask = getattr(x, "_keras_mask", None)
        rank = len(expected)
        if len(x.shape) == rank + 1 and x.shape[-1] == 1:
            x = ops.squeeze(x, axis=-1)
        elif len(x.shape) == rank - 1 and rank and expected[-1] == 1:
            x = ops.expand_dims(x, axis=-1)
        self._check_shape(x, symbol)
        x = ops.cast(x, symbol.dtype) if x.dtype != symbol.dtype else x
        if mask is not None:
            x._keras_mask = mask
        return x

    def _fitted_strings(self, x, symbol):
        """An array of strings, or a tensor that is known to be of them."""
        if type(x) is not Tensor:
            x = host_array(x)
        if not dtypes.is_string(x):
            raise TypeError(f"Model {self.name!r}: input {symbol.name!r} expects strings, but was given {x.dtype} values.")
        rank, shape = symbol.ndim, tuple(x.shape)
        if len(shape) == rank + 1 and shape[-1] == 1:
            shape = shape[:-1]
        elif len(shape) == rank - 1 and rank and symbol.shape[-1] == 1:
            shape = (*shape, 1)
        if shape != tuple(x.shape):
            x = Tensor(Spec(shape, dtypes.STRING)) if type(x) is Tensor else x.reshape(shape)
        self._check_shape(x, symbol)
        return x

    def _check_shape(self, x, symbol):
        expected = show(symbol.spec.shape)
        rank, sizes = len(expected), () if self._any_sizes else zip(x.shape[1:], expected[1:])
        if len(x.shape) != rank or any(e is not None and type(s) is int and s != e for s, e in sizes):
            hint = " Is the batch axis missing?" if len(x.shape) == rank - 1 else ""
            raise explained(
                ValueError(
                    f"Model {self.name!r}: input {symbol.name!r} expects shape {expected}, but was given shape "
                    f"{show(x.shape)}.{hint}"
                ),
                "model-input-expects-shape-but-was-given-shape",
            )


def find_layer(layers: Sequence[Any], name: str | None, index: int | None) -> Any:
    """See `Model.get_layer`."""
    if (name is None) == (index is None):
        raise ValueError("get_layer: pass either `name` or `index`.")
    if index is not None:
        if not -len(layers) <= index < len(layers):
            raise ValueError(f"get_layer: there is no layer {index}; the model has {len(layers)} layers.")
        return layers[index]
    for layer in layers:
        if layer.name == name:
            return layer
    raise explained(
        ValueError(f"get_layer: there is no layer {name!r}. Layers: {[layer.name for layer in layers]}."),
        "get-layer-there-is-no-layer",
    )


def _call_as_told(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of the graph when the caller says whether it trains: that counts, and not what the graph was made with."""
    return operation(*args, **{k: v for k, v in kwargs.items() if k != "training"})


def _checked_input(t: Any) -> KerasTensor:
    if not isinstance(t, KerasTensor):
        raise ValueError(f"Model: `inputs` must be KerasTensors made by Input(), but got {t!r}.")
    return t


def _as_input(t: KerasTensor) -> KerasTensor:
    """The tensor itself if an InputLayer made it, else a new input of its shape."""
    if t._keras_history is not None and isinstance(t._keras_history.operation, InputLayer):
        return t
    return Input(batch_shape=t.shape, dtype=t.dtype)
