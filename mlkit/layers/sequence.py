"""Layers around layers of sequences: Bidirectional, TimeDistributed."""

from typing import Any

from mlkit import ops
from mlkit.core import tree
from mlkit.core.spec import Dim, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers.call_info import call_info
from mlkit.layers.layer import Layer
from mlkit.layers.wrappers import Wrapper
from mlkit.objects.config_object import serialized


class TimeDistributed(Wrapper):
    """One layer applied to every step of (batch, time, ...). A mask (batch, time, ...) goes step by step to a layer that takes
    one.

    Args:
        layer: the layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                f"TimeDistributed {self.path!r}: inputs must have at least 3 axes (batch, time, ...), but have shape "
                f"{input_shape}."
            )
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))
            self.layer.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        batch, time = inputs.shape[:2]
        takes = call_info(type(self.layer))
        options = {"training": training} if takes.takes_training else {}
        if mask is not None:
            self._check_mask(mask, inputs)
            if "mask" in takes.parameters:
                options["mask"] = ops.reshape(mask, (batch * time, *mask.shape[2:]))
        out = self.layer(ops.reshape(inputs, (batch * time, *inputs.shape[2:])), **options)
        return ops.reshape(out, (batch, time, *out.shape[1:]))

    def _check_mask(self, mask, inputs: Structure):
        known = zip(mask.shape[:2], inputs.shape[:2])
        if mask.ndim < 2 or any(m != n for m, n in known if Dim not in (type(m), type(n))):
            raise ValueError(
                f"TimeDistributed {self.path!r}: the mask must begin with the inputs' batch and time axes "
                f"{show(inputs.shape[:2])}, but has shape {show(mask.shape)}."
            )


_RECURRENT = "go_backwards", "return_sequences", "return_state", "stateful"  # options of a layer that goes step by step


def _is_recurrent(layer: Any) -> bool:
    return isinstance(layer, Layer) and all(hasattr(layer, option) for option in _RECURRENT)


class Bidirectional(Layer):
    """A recurrent layer run over the sequence in both directions; the results are merged.

    Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Trans. Signal Processing 45 (1997).

    Args:
        layer: RNN, LSTM, GRU ...
        merge_mode: "concat", "sum", "mul", "ave", or None for a list of both.
        backward_layer: the layer for the other direction, by default a copy of `layer`.
        weights: list of the initial weights, or None.

    Input: (batch, time, features). Output: (batch, units), or (batch, time, units) where `layer` returns sequences; with
    "concat" twice the units.
    """

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ):
        if not _is_recurrent(layer):
            raise ValueError(f"Bidirectional: `layer` must be a recurrent layer, but got {layer!r}.")
        if backward_layer is not None and not _is_recurrent(backward_layer):
            raise ValueError(f"Bidirectional: `backward_layer` must be a recurrent layer or None, but got {backward_layer!r}.")
        if merge_mode not in ("concat", "sum", "mul", "ave", None):
            raise ValueError(
                f"Bidirectional: `merge_mode` must be 'concat', 'sum', 'mul', 'ave' or None, but got {merge_mode!r}."
            )
        super().__init__(**kwargs)
        config = serialized(layer)["config"]
        self.forward_layer = type(layer).from_config({**config, "name": f"forward_{config['name'].removeprefix('forward_')}"})
        if backward_layer is None:
            opposite = not config.get("go_backwards", False)
            name = f"backward_{config['name'].removeprefix('forward_')}"
            backward_layer = type(layer).from_config({**config, "go_backwards": opposite, "name": name})
        self.backward_layer, self.merge_mode = backward_layer, merge_mode
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise ValueError("Bidirectional: `layer` and `backward_layer` must have opposite `go_backwards`.")
        for option in ("stateful", "return_sequences", "return_state"):
            a, b = getattr(self.forward_layer, option), getattr(self.backward_layer, option)
            if a != b:
                raise ValueError(
                    f"Bidirectional: `layer` and `backward_layer` must have equal `{option}`, but have {a} and {b}."
                )
        self.stateful, self.return_state = layer.stateful, layer.return_state
        self.return_sequences = layer.return_sequences
        for directed in (self.forward_layer, self.backward_layer):
            if hasattr(layer, "use_cudnn"):
                directed.use_cudnn = layer.use_cudnn  # configs do not hold it
            if hasattr(directed, "zero_output_for_mask"):  # else steps left out would hold other steps' outputs, reversed
                directed.zero_output_for_mask = self.return_sequences
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._initial_weights = weights

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    def call(
        self, sequences: Structure, initial_state: Structure = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        starts = None, None
        if initial_state is not None:
            given = tree.flatten(initial_state)
            starts = given[: len(given) // 2], given[len(given) // 2 :]
        results = [
            layer(sequences, initial_state=start, mask=mask, training=training)
            for layer, start in zip((self.forward_layer, self.backward_layer), starts)
        ]
        states = []
        if self.return_state:
            states = [s for r in results for s in r[1:]]
            results = [r[0] for r in results]
        forward, backward = results
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        out = self._merged(forward, backward)
        out, states = tree.map_structure(lambda t: ops.cast(t, self.compute_dtype), (out, states))
        if not self.return_state:
            return out
        return (*out, *states) if isinstance(out, tuple) else (out, *states)

    def _merged(self, a: Tensor, b: Tensor):
        if self.merge_mode is None:
            return (a, b)
        if self.merge_mode == "concat":
            return ops.concatenate([a, b], axis=-1)
        if self.merge_mode == "mul":
            return a * b
        return (a + b) * (0.5 if self.merge_mode == "ave" else 1)

    def reset_states(self) -> None:
        """Set the states of both layers back to zero."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    reset_state = reset_states

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = tree.flatten(mask)[0]
        out = mask if self.return_sequences else None
        outs = [out, out] if self.merge_mode is None else [out]
        return [*outs, *[None] * (len(tree.flatten(self.forward_layer.cell.state_size)) * 2)] if self.return_state else outs

    def get_config(self) -> dict[str, Any]:
        both = {"layer": serialized(self.forward_layer), "backward_layer": serialized(self.backward_layer)}
        return {**self._common_config(), "merge_mode": self.merge_mode, **both}

    _config_holds_objects = True
