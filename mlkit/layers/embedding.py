"""Embedding: a learned vector for each integer; ReversibleEmbedding: and back."""

import math
import warnings
from typing import Any

from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.typing import DType
from mlkit.layers.argument_checks import positive, within
from mlkit.layers.lora import LowRankLayer
from mlkit.layers.weights import weights
from mlkit.objects.config_object import serialized


@weights(embeddings="uniform")
class Embedding(LowRankLayer):
    """Integers to vectors: (batch, ...) -> (batch, ..., output_dim).

    Args:
        input_dim: number of different integers, which are 0 ... input_dim - 1.
        output_dim: size of the vectors.
        mask_zero: 0 stands for padding, and later layers skip it.
        weights: list with the initial table.
        lora_rank, lora_alpha: train a low-rank correction of the table, see `enable_lora`.

    >>> import mlkit
    >>> mlkit.layers.Embedding(10, 4)(mlkit.ops.convert_to_tensor([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        input_length = kwargs.pop("input_length", None)
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs)
        if input_length is not None:
            warnings.warn("Embedding: `input_length` is not needed and has no effect.", stacklevel=3)
        self.input_dim, self.output_dim = positive(self, input_dim=input_dim), positive(self, output_dim=output_dim)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self._embeddings = self._make_weight("embeddings", (self.input_dim, self.output_dim))
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    _main_weight = "embeddings"
    embeddings = property(LowRankLayer._low_rank_weight, doc="The table: a Variable, or with LoRA the corrected tensor.")

    def call(self, inputs: Any) -> Any:
        if not dtypes.is_int(inputs.dtype):
            inputs = ops.cast(inputs, "int32")
        return ops.cast(ops.take(self.embeddings, inputs, axis=0), self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("weights", None)
        return {**config, "quantization_config": None, "activity_regularizer": serialized(self.activity_regularizer)}


@weights(embeddings="uniform")
class ReversibleEmbedding(Embedding):
    """An Embedding that also goes back: with ``reverse=True`` vectors (..., output_dim) become logits (..., input_dim).

    Args:
        tie_weights: go back by the transposed table (Press and Wolf, 2017), else by a matrix of its own.
        reverse_dtype: dtype of that product.
        logit_soft_cap: c squeezes the logits into (-c, c) by ``c tanh(logits / c)``.

    The other arguments are Embedding's.

    >>> import mlkit
    >>> layer = mlkit.layers.ReversibleEmbedding(10, 4)
    >>> layer(layer(mlkit.ops.convert_to_tensor([[1, 2, 3]])), reverse=True).shape
    (1, 3, 10)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        *,
        mask_zero: bool = False,
        reverse_dtype: DType | None = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(input_dim, output_dim, mask_zero=mask_zero, **kwargs)
        if logit_soft_cap is not None:
            within(self, 1e-6, math.inf, logit_soft_cap=logit_soft_cap)
        self.tie_weights, self.reverse_dtype, self.logit_soft_cap = tie_weights, reverse_dtype, logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights:
            shape = (self.output_dim, self.input_dim)
            self.reverse_embeddings = self.add_weight(shape, self.embeddings_initializer, name="reverse_embeddings")

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            outputs = super().call(inputs)
            if self.mask_zero:
                outputs._keras_mask = ops.not_equal(inputs, 0)
            return outputs
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        dtype = self.reverse_dtype or self.compute_dtype
        logits = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        cap = self.logit_soft_cap
        return logits if cap is None else ops.tanh(logits / cap) * cap

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None  # `call` knows the direction, and sets the mask
