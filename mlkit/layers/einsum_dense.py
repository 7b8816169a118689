"""EinsumDense: a product of inputs and kernel over axes given by an Einstein equation."""

import re
from typing import Any

from mlkit import activations, ops
from mlkit.core.typing import Identifier, Shape, Structure
from mlkit.layers.argument_checks import refuse
from mlkit.layers.lora import LowRankLayer
from mlkit.layers.weights import weights
from mlkit.objects.config_object import serialized


@weights(kernel="glorot_uniform", bias="zeros")
class EinsumDense(LowRankLayer):
    """``activation(einsum(equation, inputs, kernel) + bias)``.

    Args:
        equation: such as "abc,cd->abd"; "..." may stand for leading or trailing axes.
        output_shape: sizes of the output without the batch axis, None where they are the input's.
        bias_axes: letters of the output that the bias has, or None for no bias.
        lora_rank, lora_alpha: train a low-rank correction of the kernel, see `enable_lora`.
        gptq_unpacked_column_size: of weights that Keras has quantized; anything but None is refused.

    >>> import mlkit
    >>> mlkit.layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d")(mlkit.ops.ones((2, 3, 4))).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Shape,
        activation: Identifier = None,
        bias_axes: str | None = None,
        *,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs)
        refuse(self, gptq_unpacked_column_size=gptq_unpacked_column_size)
        self.equation, self.bias_axes = equation, bias_axes
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.activation = activations.get(activation)

    def build(self, input_shape: Any) -> None:
        kernel_shape, bias_shape = self._weight_shapes(input_shape)
        self._kernel = self._make_weight("kernel", kernel_shape)
        self.bias = None if bias_shape is None else self._make_weight("bias", bias_shape)
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def _weight_shapes(self, input_shape: Any):
        """Sizes of the kernel's and the bias's axes, looked up by letter in the input and the output."""
        match = re.fullmatch(r"([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)", self.equation.replace(" ", ""))
        if match is None:
            raise ValueError(f"EinsumDense: Invalid einsum equation {self.equation!r}: expected the form 'abc,cd->abd'.")
        inputs, kernel, output = match.groups()
        given = _sizes(inputs, input_shape)
        made = _output_sizes(output, inputs, given, self.partial_output_shape, len(input_shape))
        for letter, size in made.items():
            if given.get(letter) is not None and size is not None and given[letter] != size:
                raise ValueError(
                    f"EinsumDense {self.path!r}: axis {letter!r} of {self.equation!r} has size {given[letter]} in the inputs, "
                    f"but {size} in output_shape."
                )
        known = {**made, **{k: v for k, v in given.items() if v is not None}}
        missing = [c for c in kernel if known.get(c) is None]
        if missing:
            raise ValueError(
                f"EinsumDense {self.path!r}: the kernel axes {missing} of {self.equation!r} have no known size: inputs have "
                f"shape {input_shape}, output_shape is {self.partial_output_shape}."
            )
        kernel_shape = tuple(known[c] for c in kernel)
        if not self.bias_axes:
            return kernel_shape, None
        letters = output.replace(".", "")
        unknown = [c for c in self.bias_axes if c not in letters]
        if unknown:
            raise ValueError(f"EinsumDense {self.path!r}: bias axes {unknown} are not in the output of {self.equation!r}.")
        first = min(letters.index(c) for c in self.bias_axes)
        after = letters[first:]
        trailing = 1 if output.endswith("...") else 0
        shape = tuple(known[c] if c in self.bias_axes else 1 for c in after)
        ellipsis = len(input_shape) - len(inputs.replace(".", "")) if trailing else 0
        return kernel_shape, shape + (1,) * ellipsis

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(x if self.bias is None else x + self.bias)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("gptq_unpacked_column_size", None)
        config["output_shape"] = self.partial_output_shape
        config["activity_regularizer"] = serialized(self.activity_regularizer)
        return config


def _sizes(letters, shape):
    """letter -> size of an operand whose axes may be elided at one end."""
    named = letters.replace("...", "")
    if letters.startswith("..."):
        shape = shape[len(shape) - len(named) :]
    return dict(zip(named, shape))


def _output_sizes(output, inputs: Structure, given, partial, rank):
    """letter -> size of the output; `partial` has no batch axis, and None where the input's size is meant."""
    named = output.replace("...", "")
    if output.startswith("..."):
        sizes = dict(zip(reversed(named), reversed(partial)))
    else:
        sizes = {named[0]: given.get(named[0]), **dict(zip(named[1:], partial))}
    return {c: given.get(c) if s is None else s for c, s in sizes.items()}
