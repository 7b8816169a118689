"""Attention without heads or projections: Attention (Luong) and AdditiveAttention (Bahdanau)."""

from typing import Any

from mlkit import ops, random
from mlkit.core.dtypes import is_float, single_of
from mlkit.core.typing import Structure
from mlkit.layers.argument_checks import within
from mlkit.layers.layer import Layer
from mlkit.objects.seed_generator import Seed


class Attention(Layer):
    """Values averaged by how well their keys fit the query (Luong et al., 2015).

    Called on [query (batch, targets, size), value (batch, sources, size), key (default: value)], with `mask` a list
    [query_mask, value_mask]; targets that are masked give 0.

    Args:
        use_scale: multiply the scores by a weight.
        score_mode: "dot" for query key', "concat" for the sum of tanh(query + key).
        dropout: of the scores.

    >>> import mlkit
    >>> query, value = mlkit.ops.ones((2, 5, 8)), mlkit.ops.ones((2, 3, 8))
    >>> mlkit.layers.Attention()([query, value]).shape
    (2, 5, 8)
    """

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: Seed = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"{type(self).__name__}: `score_mode` must be 'dot' or 'concat', but got {score_mode!r}.")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        if within(self, 0, 1, dropout=dropout) > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _calculate_scores(self, query: Structure, key: Structure):
        """(batch, targets, sources)"""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale
        both = _sums(query, key)
        return self.concat_score_weight * ops.sum(ops.tanh(both if self.scale is None else self.scale * both), axis=-1)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value, key = inputs[0], inputs[1], inputs[-1]
        query_mask, value_mask = mask[:2] if mask else (None, None)
        wide = single_of(query.dtype)  # products of half floats may overflow
        scores = self._calculate_scores(*(ops.cast(t, wide) for t in (query, key)))
        allowed = self._calculate_score_mask(scores, value_mask, use_causal_mask)
        if allowed is not None:  # scores are lowered, not replaced: where all sources are masked, they keep their order
            scores = ops.where(allowed, scores, scores - 1e9)
        weights = ops.softmax(scores, axis=-1)
        if is_float(value.dtype):  # weights of whole numbers stay floats
            weights = ops.cast(weights, value.dtype)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        out = ops.matmul(weights, value)
        if query_mask is not None:
            out = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), out, ops.zeros_like(out))
        return (out, weights) if return_attention_scores else out

    def _calculate_score_mask(self, scores, v_mask, use_causal_mask):
        """True where a target may look at a source, in a shape that broadcasts with the scores; None: everywhere."""
        allowed = None
        if v_mask is not None:
            allowed = ops.cast(v_mask, "bool")
            allowed = ops.expand_dims(allowed, -2) if allowed.ndim == 2 else allowed
        if use_causal_mask:
            targets, sources = (ops.cumsum(ops.ones((n,), "int32")) for n in scores.shape[-2:])
            causal = ops.expand_dims(ops.expand_dims(targets, -1) >= sources, 0)
            allowed = causal if allowed is None else ops.logical_and(allowed, causal)
        return allowed

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        self._check(inputs, mask)
        return None if mask is None or mask[0] is None else ops.convert_to_tensor(mask[0])

    def _check(self, inputs: Structure, mask=None):
        """Raise ValueError unless there are two or three inputs, and as many masks."""
        name = f"{type(self).__name__} {self.path!r}"
        several = isinstance(inputs, (list, tuple)) and not isinstance(inputs[0], (int, type(None)))  # and no single shape
        if not several or len(inputs) not in (2, 3):
            found = f"{len(inputs)} of them" if several else type(inputs).__name__
            raise ValueError(
                f"{name} must be called on a list of inputs [query, value] or [query, value, key], but got {found}."
            )
        if mask is not None and (not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3)):
            raise ValueError(f"{name}: the mask must be a list [query_mask, value_mask], but got {mask!r}.")


class AdditiveAttention(Attention):
    """Attention whose scores are sums of ``scale * tanh(query + key)`` (Bahdanau et al., 2015). Called as Attention.

    Args:
        use_scale: have a weight for each feature; False: 1.
        dropout: of the scores.

    Inputs: [query (batch, targets, size), value (batch, sources, size), key]; output: (batch, targets, size).
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.add_weight(input_shape[0][-1:], name="scale") if self.use_scale else None

    def _calculate_scores(self, query: Structure, key: Structure):
        both = ops.tanh(_sums(query, key))
        return ops.sum(both if self.scale is None else self.scale * both, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def _sums(query: Structure, key: Structure):
    """(batch, targets, sources, size)"""
    return ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
