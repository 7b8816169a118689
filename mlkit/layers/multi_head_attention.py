"""Attention with heads: MultiHeadAttention and GroupedQueryAttention."""

from typing import Any

from mlkit import ops
from mlkit.core.typing import Axis, Identifier
from mlkit.layers.argument_checks import axes_of, positive
from mlkit.layers.multi_head_base import LETTERS, HeadedAttention
from mlkit.layers.weights import weights
from mlkit.objects.seed_generator import Seed


@weights(kernel="glorot_uniform", bias="zeros", after={"activity_regularizer": "bias_regularizer"})
class MultiHeadAttention(HeadedAttention):
    """Attention with several heads (Vaswani et al., Attention is all you need, 2017).

    Args:
        num_heads: number of heads.
        key_dim: size of a head's queries and keys.
        value_dim: of its values (default: key_dim).
        dropout: of the attention scores.
        output_shape: size(s) of the last output axis, by default the query's.
        attention_axes: axes attended over, by default all but the batch and the last.
        sliding_window: targets look only at sources less than this far away.
        use_gate: multiply what the heads give by a sigmoid of the query.
        flash_attention: True demands that the scores are never all in memory.

    Called on query (batch, targets, features), value and key (batch, sources, features); `attention_mask` (batch, targets,
    sources) is True where attending is allowed.

    >>> import mlkit
    >>> x = mlkit.ops.ones((2, 5, 8))
    >>> mlkit.layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Axis = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        *,
        activity_regularizer: Identifier = None,
        use_gate: bool = False,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(
            dropout=dropout,
            use_bias=use_bias,
            sliding_window=sliding_window,
            flash_attention=flash_attention,
            projections_regularizer=activity_regularizer,
            use_gate=use_gate,
            seed=seed,
            **kwargs,
        )
        self.num_heads, self.key_dim = positive(self, num_heads=num_heads), positive(self, key_dim=key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive(self, value_dim=value_dim)
        self.output_shape = (
            (output_shape,) if isinstance(output_shape, int) else None if output_shape is None else tuple(output_shape)
        )
        self.attention_axes = None if attention_axes is None else axes_of(attention_axes, "attention_axes")
        self.head_size = self.key_dim

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] is None or value_shape[-1] is None or value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"MultiHeadAttention {self.path!r}: value and key must have equal shapes except the last axis, and known last "
                f"sizes, but query, value and key have shapes {query_shape}, {value_shape}, {key_shape}."
            )
        rank = len(query_shape)
        self._query_dense = self._into_heads("query", query_shape, self.key_dim)
        self._key_dense = self._into_heads("key", key_shape, self.key_dim)
        if self.use_gate:
            self._gate_dense = self._into_heads("gate", query_shape, self.value_dim, activation="sigmoid")
        self._value_dense = self._into_heads("value", value_shape, self.value_dim)
        given = tuple(range(1, rank - 1)) if self.attention_axes is None else self.attention_axes
        axes = tuple(a + rank if a < 0 else a for a in given)
        if not all(0 < a < rank - 1 for a in axes):
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: `attention_axes` {self.attention_axes} must lie between the batch axis and "
                f"the last one of inputs of rank {rank}."
            )
        self.attention_axes = axes
        self._build_attention(axes)
        free = LETTERS[: rank - 1]
        sizes = self.output_shape or (query_shape[-1],)
        out = LETTERS.upper()[: len(sizes)]
        self._output_dense = self._projection(
            "attention_output",
            f"{free}yz,yz{out}->{free}{out}",
            sizes,
            out,
            (*query_shape[:-1], self.num_heads, self.value_dim),
        )

    def _into_heads(self, name, shape, size, activation=None):
        """(..., features) -> (..., heads, size)"""
        free = LETTERS[: len(shape) - 1]
        return self._projection(name, f"{free}x,xyz->{free}yz", (self.num_heads, size), "yz", shape, activation)

    # Keras's names for the projections, in code and in weights files
    query_dense = property(lambda self: self._query_dense)
    key_dense = property(lambda self: self._key_dense)
    value_dense = property(lambda self: self._value_dense)
    output_dense = property(lambda self: self._output_dense)


@weights(kernel="glorot_uniform", bias="zeros", after={"activity_regularizer": "bias_regularizer"})
class GroupedQueryAttention(HeadedAttention):
    """Attention in which groups of query heads share a head of keys and values (Ainslie et al., GQA, 2023).

    Args:
        head_dim: size of a head.
        num_query_heads: number of heads, a multiple of num_key_value_heads.
        num_key_value_heads: number of heads of keys and values.

    The other arguments, and those of a call, are those of `MultiHeadAttention`.

    >>> import mlkit
    >>> x = mlkit.ops.ones((2, 5, 8))
    >>> mlkit.layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        *,
        activity_regularizer: Identifier = None,
        use_gate: bool = False,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(
            dropout=dropout,
            use_bias=use_bias,
            sliding_window=sliding_window,
            flash_attention=flash_attention,
            projections_regularizer=activity_regularizer,
            use_gate=use_gate,
            seed=seed,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.head_dim = self.head_size = positive(self, head_dim=head_dim)
        self.num_query_heads = positive(self, num_query_heads=num_query_heads)
        self.num_key_value_heads = positive(self, num_key_value_heads=num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                "GroupedQueryAttention: `num_query_heads` must be a multiple of `num_key_value_heads`, but got "
                f"{num_query_heads} and {num_key_value_heads}."
            )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] != value_shape[-1] or value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"GroupedQueryAttention {self.path!r}: query and value must have as many features, and value and key equal "
                f"shapes except the last axis, but query, value and key have shapes {query_shape}, {value_shape}, {key_shape}."
            )
        of_queries, of_sources = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        self._query_dense = self._projection("query", "bqm,muh->bquh", of_queries, "uh", query_shape)
        self._key_dense = self._projection("key", "bkm,mvh->bkvh", of_sources, "vh", key_shape)
        if self.use_gate:
            self._gate_dense = self._projection("gate", "bqm,muh->bquh", of_queries, "uh", query_shape, "sigmoid")
        self._value_dense = self._projection("value", "bkm,mvh->bkvh", of_sources, "vh", value_shape)
        self._build_attention((1,))
        heads_shape = (None, None, *of_queries)
        self._output_dense = self._projection("attention_output", "bquh,uhm->bqm", query_shape[-1:], "m", heads_shape)

    def _for_all_heads(self, x):
        """Each head of keys or values, once for every query head of its group."""
        return ops.repeat(x, self.num_query_heads // self.num_key_value_heads, axis=2)


GroupQueryAttention = GroupedQueryAttention  # the public name in Keras; weights files go by the class's own
