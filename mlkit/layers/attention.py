"""Multi-head attention."""

import math
import string

from mlkit import constraints, initializers, ops, regularizers
from mlkit.core.config_object import serialized
from mlkit.layers.activation import Softmax
from mlkit.layers.dropout import Dropout
from mlkit.layers.einsum_dense import EinsumDense
from mlkit.layers.layer import Layer
from mlkit.layers.options import refuse

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Layer):
    """Attention with several heads (Vaswani et al., Attention is all you need, 2017).

    num_heads: number of heads. key_dim: size of a head's queries and keys; value_dim: of its values (default: key_dim).
    dropout: of the attention scores. output_shape: size(s) of the last output axis, by default the query's. attention_axes:
    axes attended over, by default all but the batch and the last. Called on query (batch, targets, features), value and key
    (batch, sources, features); `attention_mask` (batch, targets, sources) is True where attending is allowed.

    >>> import mlkit
    >>> x = mlkit.ops.ones((2, 5, 8))
    >>> mlkit.layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(self, use_gate=use_gate, sliding_window=sliding_window)
        self.num_heads, self.key_dim, self.dropout, self.use_bias, self.seed = num_heads, key_dim, dropout, use_bias, seed
        self.value_dim = value_dim or key_dim
        self.flash_attention = flash_attention
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else None if output_shape is None else tuple(output_shape)
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        self.attention_axes = attention_axes
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.supports_masking = True

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] is None or value_shape[-1] is None or value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"MultiHeadAttention {self.path!r}: value and key must have equal shapes except the last axis, and known last sizes, but query, "
                f"value and key have shapes {query_shape}, {value_shape}, {key_shape}."
            )
        rank = len(query_shape)
        self.query_dense = self._projection("query", query_shape, self.key_dim)
        self.key_dense = self._projection("key", key_shape, self.key_dim)
        self.value_dense = self._projection("value", value_shape, self.value_dim)
        axes = tuple(range(1, rank - 1)) if self.attention_axes is None else tuple(a % rank for a in self.attention_axes)
        self._axes = self.attention_axes = axes
        self._softmax = Softmax(axis=tuple(range(-len(axes), 0)), dtype=self.dtype_policy, name="softmax")
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout")
        self.output_dense = self._output_projection(query_shape)

    def _options(self):
        def copy(x):  # each projection draws numbers of its own
            return x if x is None else type(x).from_config(x.get_config())

        return dict(
            kernel_initializer=copy(self.kernel_initializer),
            bias_initializer=copy(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
        )

    def _projection(self, name, shape, size):
        """(..., features) -> (..., heads, size)"""
        free = string.ascii_lowercase[: len(shape) - 1]
        layer = EinsumDense(
            f"{free}x,xyz->{free}yz",
            output_shape=(*(None,) * (len(shape) - 2), self.num_heads, size),
            bias_axes="yz" if self.use_bias else None,
            name=name,
            **self._options(),
        )
        layer.build(shape)
        return layer

    def _output_projection(self, query_shape):
        """(..., heads, value_dim) -> (..., *output_shape)"""
        free = string.ascii_lowercase[: len(query_shape) - 1]
        sizes = self.output_shape or (query_shape[-1],)
        out = string.ascii_uppercase[: len(sizes)]
        layer = EinsumDense(
            f"{free}yz,yz{out}->{free}{out}",
            output_shape=(*(None,) * (len(query_shape) - 2), *sizes),
            bias_axes=out if self.use_bias else None,
            name="attention_output",
            **self._options(),
        )
        layer.build((*query_shape[:-1], self.num_heads, self.value_dim))
        return layer

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        mask = self._combined_mask(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        q, k, v = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        simple = not return_attention_scores and not (self.dropout and training) and q.ndim == 4 and self._axes == (1,)
        if simple:
            if mask is not None:
                mask = ops.reshape(mask, (mask.shape[0], 1, *mask.shape[1:])) if mask.ndim == 3 else mask
            out, scores = ops.dot_product_attention(q, k, v, mask=mask, scale=1.0 / math.sqrt(self.key_dim)), None
        else:
            out, scores = self._attend(q, k, v, mask, training)
        out = self.output_dense(out)
        return (out, scores) if return_attention_scores else out

    def _attend(self, q, k, v, mask, training):
        """Attention by its definition, over any axes: scores (batch, *free, heads, *targets, *sources)."""
        equation, back = _equations(q.ndim, self._axes)
        scores = ops.einsum(equation, k, q * (1.0 / math.sqrt(self.key_dim)))
        if mask is not None:
            for _ in range(scores.ndim - mask.ndim):
                mask = ops.expand_dims(mask, -len(self._axes) * 2 - 1)
        scores = self._softmax(scores, mask=mask)
        return ops.einsum(back, self._dropout_layer(scores, training=training), v), scores

    def _combined_mask(self, query, value, query_mask, value_mask, key_mask, attention_mask, causal):
        masks = []
        if query_mask is not None:
            masks.append(ops.expand_dims(ops.cast(query_mask, "bool"), -1))
        for m in (value_mask, key_mask):
            if m is not None:
                masks.append(ops.expand_dims(ops.cast(m, "bool"), -2))
        if causal:
            targets, sources = query.shape[1], value.shape[1]
            rows = ops.cumsum(ops.ones((1, targets, sources), "int32"), axis=-2)
            masks.append(rows >= ops.cumsum(ops.ones((1, targets, sources), "int32"), axis=-1))
        if attention_mask is not None:
            masks.append(ops.cast(attention_mask, "bool"))
        if not masks:
            return None
        out = masks[0]
        for m in masks[1:]:
            out = ops.logical_and(out, m)
        return out

    def compute_mask(self, query, query_mask=None):
        return query_mask[0] if isinstance(query_mask, (list, tuple)) else query_mask

    def get_config(self):
        config = super().get_config()
        config["activity_regularizer"] = serialized(self.activity_regularizer)
        config.pop("flash_attention", None)
        return config


def _equations(rank, axes):
    """Einsum equations for scores from (key, query) and for outputs from (scores, value), heads and size last."""
    letters = iter(string.ascii_lowercase)
    target = [next(letters) for _ in range(rank)]  # of the query: batch, positions ..., heads, size
    source = [next(letters) if i in axes else c for i, c in enumerate(target)]
    size = next(letters)
    heads = target[rank - 2]
    batch = [c for i, c in enumerate(target[: rank - 2]) if i not in axes]
    product = "".join([*batch, heads, *(target[a] for a in axes), *(source[a] for a in axes)])
    key = "".join(source[: rank - 1]) + target[rank - 1]
    value = "".join(source[: rank - 1]) + size
    return f"{key},{''.join(target)}->{product}", f"{product},{value}->{''.join(target[: rank - 1])}{size}"
