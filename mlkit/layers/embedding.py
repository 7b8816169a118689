"""Embedding: a learned vector for each integer."""

import warnings

from mlkit import constraints, initializers, ops, regularizers
from mlkit.core import dtypes
from mlkit.core.config_object import serialized
from mlkit.layers.layer import Layer
from mlkit.layers.options import refuse

__all__ = ["Embedding"]


class Embedding(Layer):
    """Integers to vectors: (batch, ...) -> (batch, ..., output_dim).

    input_dim: number of different integers, which are 0 ... input_dim - 1. output_dim: size of the vectors. mask_zero: 0 stands
    for padding, and later layers skip it. weights: list with the initial table.

    >>> import mlkit
    >>> mlkit.layers.Embedding(10, 4)(mlkit.ops.convert_to_tensor([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        weights=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        input_length = kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        refuse(self, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        if input_length is not None:
            warnings.warn("Embedding: `input_length` is not needed and has no effect.", stacklevel=2)
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.supports_masking = mask_zero
        self.autocast = False
        self.build()
        if weights is not None:
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape=None):
        if self.built:
            return
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )

    def call(self, inputs):
        if not dtypes.is_int(inputs.dtype):
            inputs = ops.cast(inputs, "int32")
        return ops.cast(ops.take(self.embeddings, inputs, axis=0), self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self):
        config = super().get_config()
        config.pop("weights", None)
        return {**config, "activity_regularizer": serialized(self.activity_regularizer)}
