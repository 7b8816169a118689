"""Scaled dot-product attention without the matrix of all scores in memory, and its gradient."""

from collections.abc import Iterator, Sequence

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, broadcasts_to, require, require_float, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Kept, Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import iota
from mlkit.primitives.reduction import max_
from mlkit.primitives.shape import reshape, sum_, transpose

# The score of a masked pair: far below any, yet finite, so that a row without pairs is no NaN.
MASKED = -0.7 * 3.4028234663852886e38


def _attention_spec(
    q: Spec, k: Spec, v: Spec, mask: Spec | None, scale: float, causal: bool, keep: Spec | None = None, name: str = "attention"
) -> Spec | tuple[Spec, Spec]:
    shapes = f"query {show(q.shape)}, key {show(k.shape)} and value {show(v.shape)}"
    if not len(q.shape) == len(k.shape) == len(v.shape) == 4:
        raise ValueError(f"{name}: expected tensors of shape (batch, length, heads, size), but got {shapes}.")
    require_float(name, "the query", q)
    batch, targets, heads, size = q.shape
    sources = k.shape[1]
    require(name, f"beside a query {show(q.shape)} the key", k, (batch, sources, heads, size), q.dtype)
    require(name, f"beside a query {show(q.shape)} and a key {show(k.shape)} the value", v, (*k.shape[:3], v.shape[3]), q.dtype)
    require(name, f"beside a query {show(q.shape)} the value", v, (batch, sources, heads, v.shape[3]))
    if sources == 0:
        raise ValueError(f"{name}: there is nothing to attend to: {shapes}.")
    if mask is not None:
        _check_mask(name, mask, (batch, heads, targets, sources))
    return _result(q, v) if keep is None else (_result(q, v), keep)


def _result(q: Spec, v: Spec) -> Spec:
    return Spec((*q.shape[:3], v.shape[3]), q.dtype)


def _check_mask(name: str, mask: Spec, scores: Sequence[Size]) -> None:
    if mask.dtype != "bool":
        raise TypeError(f"{name}: the mask must be bool, but is {mask.dtype}.")
    if not broadcasts_to(mask.shape, scores):
        raise ValueError(
            f"{name}: the mask of shape {show(mask.shape)} does not broadcast to the scores, (batch, heads, targets, sources) = "
            f"{show(scores)}. Sizes must be equal or 1."
        )


def _heads_first(x: Tensor) -> Tensor:
    """(batch, length, heads, size) <-> (batch, heads, length, size)"""
    return transpose(x, perm=(0, 2, 1, 3))


def _scores(q: Tensor, k: Tensor, mask: Tensor | None, scale: float, causal: bool) -> tuple[Tensor, Tensor | None]:
    """(batch, heads, queries, keys), and where they are masked, or None."""
    scores = matmul(_heads_first(q), swap(_heads_first(k))) * scale
    if causal:
        queries, keys = scores.shape[2:]
        lower = reshape(iota(size=queries, dtype="int32"), shape=(queries, 1)) >= iota(size=keys, dtype="int32")
        mask = lower if mask is None else el.and_(mask, lower)
    if mask is not None:
        scores = el.where(mask, scores, MASKED)
    return scores, mask


def _probabilities(q: Tensor, k: Tensor, mask: Tensor | None, scale: float, causal: bool) -> tuple[Tensor, Tensor | None]:
    scores, mask = _scores(q, k, mask, scale, causal)
    e = el.exp(scores - max_(scores, axes=(3,), keepdims=True))
    return e / sum_(e, axes=(3,), keepdims=True), mask


def _widened(*xs: Tensor) -> Iterator[Tensor]:
    """Half floats in float32, in which attention is computed."""
    return (el.cast(x, dtype=dtypes.result_type(x.dtype, "float32")) for x in xs)


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool) -> Tensor:
    dtype, (q, k, v) = q.dtype, _widened(q, k, v)
    p, _ = _probabilities(q, k, mask, scale, causal)
    return el.cast(_heads_first(matmul(p, _heads_first(v))), dtype=dtype)


def _attention_vjp(
    g: Tensor, y: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool
) -> tuple[Tensor | None, ...]:
    return *attention_grad(g, q, k, v, mask, scale=scale, causal=causal), None


# query (b, t, n, h), key (b, s, n, h), value (b, s, n, d), mask bool that broadcasts to (b, n, t, s) or None -> (b, t, n, d). With `keep`
# there is a further result with that Spec, what a kernel keeps for its gradient, which then takes both; see `fused.recurrent`.
# Vaswani et al., NeurIPS 2017, section 3.2; Dao et al., "FlashAttention", NeurIPS 2022, for computing the scores again in the
# gradient.
attention = Op("attention", _attention_spec, _attention_vjp, "x", _attention)


def _attention_grad_spec(
    g: Spec, q: Spec, k: Spec, v: Spec, mask: Spec | None, *kept: Spec, scale: float, causal: bool
) -> tuple[Spec, ...]:
    _attention_spec(q, k, v, mask, scale, causal, name="attention_grad")
    y = _result(q, v)
    require("attention_grad", "the gradient", g, y.shape, y.dtype)
    for result in kept[:1]:
        require("attention_grad", "the result", result, y.shape, y.dtype)
    return q, k, v


def _attention_grad(
    g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, (g, q, k, v) = q.dtype, _widened(g, q, k, v)
    p, mask = _probabilities(q, k, mask, scale, causal)
    g_heads = _heads_first(g)
    dv = matmul(swap(p), g_heads)
    dp = matmul(g_heads, swap(_heads_first(v)))
    d_scores = p * (dp - sum_(p * dp, axes=(3,), keepdims=True)) * scale
    if mask is not None:
        d_scores = el.where(mask, d_scores, 0.0)
    dq = matmul(d_scores, _heads_first(k))
    dk = matmul(swap(d_scores), _heads_first(q))
    return tuple(el.cast(_heads_first(d), dtype=dtype) for d in (dq, dk, dv))


attention_grad = attention.variant(
    "grad", _attention_grad_spec, fallback=_attention_grad, traits=Traits(kept=Kept(1, 4, 0, again=False))
)
