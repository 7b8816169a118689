"""What attention layers with several heads share: projections, the mask of who may look at whom, and the products."""

import math
from typing import Any

from mlkit import ops, regularizers
from mlkit.core.typing import Axes, Identifier, Structure
from mlkit.layers.activation import Softmax
from mlkit.layers.argument_checks import positive, within
from mlkit.layers.dropout import Dropout
from mlkit.layers.einsum_dense import EinsumDense
from mlkit.layers.layer import Layer
from mlkit.objects.config_object import serialized
from mlkit.objects.seed_generator import Seed

LETTERS = "abcdefghijklmnopqrstuvwxyz"  # names of axes


class HeadedAttention(Layer):
    """Base of MultiHeadAttention and GroupedQueryAttention.

    Subclasses make `_query_dense`, `_key_dense`, `_value_dense`, `_gate_dense` (with `use_gate`) and `_output_dense` in `build`
    and set `head_size`, the size of a head's queries. `_compute_attention` may be overridden to attend in another way.
    """

    def __init__(
        self,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        projections_regularizer: Identifier = None,
        use_gate: bool = False,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if flash_attention and dropout:
            raise ValueError(f"{type(self).__name__}: dropout is not supported with `flash_attention`. Set `dropout` to 0.")
        self.sliding_window = None if sliding_window is None else positive(self, sliding_window=sliding_window)
        self.dropout = within(self, 0, 1, dropout=dropout)
        self.use_bias, self.use_gate, self.seed = use_bias, use_gate, seed
        self.flash_attention = flash_attention
        self._activity_regularizer = regularizers.get(projections_regularizer)  # each projection penalizes its outputs
        self.supports_masking = True

    def _projection(self, name, equation, sizes, bias_axes, input_shape: Any, activation=None):
        """A built EinsumDense with the options for weights. sizes: of the last axes of its outputs."""
        options = {option: getattr(self, option) for option in self._weight_options}
        for option in ("kernel_initializer", "bias_initializer"):  # each projection draws numbers of its own
            if hasattr(options[option], "get_config"):
                options[option] = type(options[option]).from_config(options[option].get_config())
        output_rank = len(equation.split("->")[1])
        layer = EinsumDense(
            equation,
            output_shape=(*(None,) * (output_rank - 1 - len(sizes)), *sizes),
            bias_axes=bias_axes if self.use_bias else None,
            activation=activation,
            activity_regularizer=self._activity_regularizer,
            **options,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.supports_masking = True  # masks of the inputs are no loss here: `call` has read them
        layer.build(input_shape)
        return layer

    def _build_attention(self, axes: Axes):
        """The parts between the projections, for attention over these axes."""
        self._axes = axes
        self._softmax = Softmax(axis=tuple(range(-len(axes), 0)), dtype=self.dtype_policy, name="softmax")
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout")

    def call(
        self,
        query: Structure,
        value: Structure,
        key: Structure = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        masks = (query_mask, value_mask, key_mask, attention_mask, self.sliding_window)
        own = type(self)._compute_attention is HeadedAttention._compute_attention
        options = {"return_attention_scores": True} if return_attention_scores else {}
        if use_causal_mask and own and all(m is None for m in masks):
            mask, options["use_causal_mask"] = None, True  # no mask need be made
        else:
            mask = self._compute_attention_mask(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        gate = self._gate_dense(query) if self.use_gate else None
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        k, v = self._for_all_heads(k), self._for_all_heads(v)
        out, scores = self._compute_attention(q, k, v, attention_mask=mask, training=training, **options)
        out = self._output_dense(out if gate is None else out * gate)
        return (out, scores) if return_attention_scores else out

    def _for_all_heads(self, x):
        return x

    def _compute_attention(
        self,
        query: Structure,
        key: Structure,
        value: Structure,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        """(outputs, scores) for projected query, key and value; the scores are None where they were never made."""
        if self.flash_attention and return_attention_scores:
            raise ValueError(f"{type(self).__name__} {self.path!r}: there are no scores to return with `flash_attention`.")
        scale = 1.0 / math.sqrt(self.head_size)
        if not return_attention_scores and not (self.dropout and training) and len(query.shape) == 4 and self._axes == (1,):
            mask = None if attention_mask is None else _with_heads_axis(ops.cast(attention_mask, "bool"), 4, 1)
            options = {"is_causal": use_causal_mask, "flash_attention": self.flash_attention}
            return ops.dot_product_attention(query, key, value, mask=mask, scale=scale, **options), None
        if use_causal_mask:
            attention_mask = _both(attention_mask, self._compute_causal_mask(query, value))
        # by its definition, over any axes: scores (batch, *free, heads, *targets, *sources)
        equation, back = _equations(len(query.shape), self._axes)
        scores = ops.einsum(equation, key, query * scale)
        if attention_mask is not None:
            attention_mask = _with_heads_axis(attention_mask, scores.ndim, len(self._axes))
        scores = self._softmax(scores, mask=attention_mask)
        return ops.einsum(back, self._dropout_layer(scores, training=training), value), scores

    def _compute_attention_mask(
        self,
        query: Structure,
        value: Structure,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask=False,
    ):
        """True where a target may look at a source, (batch, targets, sources), by all that restricts it; None: everywhere."""
        mask = None
        for given, axis in ((query_mask, -1), (value_mask, -2), (key_mask, -2)):
            if given is not None:
                mask = _both(mask, ops.expand_dims(ops.cast(given, "bool"), axis))
        if use_causal_mask:
            mask = _both(mask, self._compute_causal_mask(query, value))
        if self.sliding_window is not None:
            mask = _both(mask, ops.abs(_distances(query, value)) < self.sliding_window)
        return mask if attention_mask is None else _both(mask, ops.cast(attention_mask, "bool"))

    def _compute_causal_mask(self, query: Structure, value: Structure = None):
        """(1, targets, sources): True where the source is no later than the target."""
        return _distances(query, query if value is None else value) >= 0

    def compute_mask(self, query: Structure, query_mask: Any = None) -> Any:
        return query_mask[0] if isinstance(query_mask, (list, tuple)) else query_mask

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["activity_regularizer"] = serialized(self._activity_regularizer)
        config.pop("flash_attention", None)
        return config


def _both(mask, other):
    return other if mask is None else ops.logical_and(mask, other)


def _distances(query: Structure, value: Structure):
    """(1, targets, sources): how far each target is behind each source."""
    targets, sources = (ops.cumsum(ops.ones((x.shape[1],), "int32")) for x in (query, value))
    return ops.expand_dims(targets, (0, 2)) - ops.expand_dims(sources, (0, 1))


def _with_heads_axis(mask, rank, axes: Axes):
    """A mask with axes of size 1 before its `2 * axes` last ones, so that it broadcasts over the heads."""
    return (
        ops.expand_dims(mask, tuple(range(-2 * axes - (rank - len(mask.shape)), -2 * axes))) if len(mask.shape) < rank else mask
    )


def _equations(rank, axes: Axes):
    """Einsum equations for scores from (key, query) and for outputs from (scores, value), heads and size last."""
    letters = iter(LETTERS)
    target = [next(letters) for _ in range(rank)]  # of the query: batch, positions ..., heads, size
    source = [next(letters) if i in axes else c for i, c in enumerate(target)]
    size = next(letters)
    heads = target[rank - 2]
    batch = [c for i, c in enumerate(target[: rank - 2]) if i not in axes]
    product = "".join([*batch, heads, *(target[a] for a in axes), *(source[a] for a in axes)])
    key = "".join(source[: rank - 1]) + target[rank - 1]
    value = "".join(source[: rank - 1]) + size
    return f"{key},{''.join(target)}->{product}", f"{product},{value}->{''.join(target[: rank - 1])}{size}"
