"""Fully connected layers."""

from typing import Any

from mlkit import activations, ops
from mlkit.core.typing import Identifier
from mlkit.layers.argument_checks import positive
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.lora import LowRankLayer
from mlkit.layers.weights import weights


@weights(kernel="glorot_uniform", bias="zeros", activity_regularizer=True)
class Dense(LowRankLayer):
    """``activation(inputs @ kernel + bias)`` along the last axis.

    Args:
        units: size of the output's last axis.
        activation: name or function.
        use_bias: whether to add a bias.
        lora_rank, lora_alpha: train a low-rank correction, see `enable_lora`.

    The initializers, regularizers and constraints are those of the kernel and the bias.

    Input: (batch, ..., n). Output: (batch, ..., units).

    >>> import mlkit
    >>> mlkit.layers.Dense(3, activation="relu")(mlkit.ops.ones((2, 5))).shape
    (2, 3)
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Identifier = None,
        use_bias: bool = True,
        *,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs)
        self.units, self.use_bias = positive(self, units=units), use_bias
        self.activation = activations.get(activation)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"Dense {self.path!r}: the last axis of the inputs must have a known size, but the shape is {input_shape}."
            )
        self._kernel = self._make_weight("kernel", (size, self.units))
        self.bias = self._make_weight("bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)
