"""Dot-product attention."""

import math
from typing import Any

from mlkit.core import dtypes, settings
from mlkit.core.spec import broadcast, is_known, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives import fused
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, require_real, to_bool
from mlkit.primitives.fused.attention import MASKED
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import iota
from mlkit.primitives.shape import broadcast_to, reshape, transpose

__all__ = ["dot_product_attention"]


def dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    bias: TensorLike | None = None,
    mask: TensorLike | None = None,
    scale: TensorLike | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(query key' * scale + bias) value, for every head.

    Args:
        query: (batch, targets, heads, size).
        key, value: (batch, sources, heads, size), with as many heads or a divisor of them (grouped queries). Batches of one
            sample broadcast.
        bias: added to the scores.
        mask: True where a target may look at a source; both broadcast to (batch, heads, targets, sources).
        scale: by default 1 / sqrt(size).
        is_causal: targets look at no later source.
        flash_attention: True demands that the scores are never all in memory at once, which is the case unless a bias is given;
            False computes them by their definition. None is False after `config.disable_flash_attention()`, and else demands nothing.
        attn_logits_soft_cap: not available.

    Returns (batch, targets, heads, size). Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """
    if attn_logits_soft_cap is not None:
        raise ValueError("dot_product_attention: `attn_logits_soft_cap` is available on TPUs only, and so not here.")
    query, key, value = promote_tensors(query, key, value, floating=True)
    require_real("dot_product_attention", query)
    _check(query, key, value)
    if flash_attention and bias is not None:
        raise ValueError("dot_product_attention: `flash_attention=True` is not possible with a `bias`.")
    if flash_attention is None:
        flash_attention = settings.is_flash_attention_enabled()
    groups = query.shape[2] // key.shape[2]
    if groups != 1:
        key, value = (_repeat_heads(x, groups) for x in (key, value))
    mask = None if mask is None else _four_axes("mask", to_bool(mask))
    bias = None if bias is None else _four_axes("bias", as_tensor(bias))
    query, key, value = _of_one_batch(query, key, value, mask)
    scale = 1 / math.sqrt(query.shape[3]) if scale is None else scale
    if bias is None and flash_attention is not False and isinstance(scale, (int, float)):
        return fused.attention(query, key, value, mask, scale=float(scale), causal=bool(is_causal))
    wide = (cast(x, dtypes.result_type(x.dtype, "float32")) for x in (query, key, value))
    return cast(_by_definition(*wide, bias, mask, scale, is_causal), query.dtype)


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    shapes = f"query {show(query.shape)}, key {show(key.shape)}, value {show(value.shape)}"
    if not query.ndim == key.ndim == value.ndim == 4:
        raise ValueError(f"dot_product_attention: expected tensors of shape (batch, length, heads, size), but got {shapes}.")
    heads, shared = query.shape[2], key.shape[2]
    if 0 in (query.shape[3], key.shape[1], shared):
        raise ValueError(f"dot_product_attention: there is nothing to compare or to attend to: {shapes}.")
    if is_known(heads, shared) and heads % shared:
        raise ValueError(
            f"dot_product_attention: the number of query heads must be a multiple of that of key and value, but got {shapes}."
        )


def _repeat_heads(x: Tensor, times: int) -> Tensor:
    batch, length, heads, size = x.shape
    x = broadcast_to(reshape(x, shape=(batch, length, heads, 1, size)), shape=(batch, length, heads, times, size))
    return reshape(x, shape=(batch, length, heads * times, size))


def _of_one_batch(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> list[Any]:
    """Query, key and value with the common batch size: one sample serves for all."""
    sizes = [(x.shape[0],) for x in (query, key, value, mask) if x is not None]
    (batch,) = broadcast("dot_product_attention, batch sizes", *sizes)
    return [broadcast_to(x, shape=(batch, *x.shape[1:])) if x.shape[0] == 1 != batch else x for x in (query, key, value)]


def _four_axes(name: str, x: Tensor) -> Tensor:
    if x.ndim > 4:
        raise ValueError(
            f"dot_product_attention: the {name} must broadcast to (batch, heads, targets, sources), but has shape {show(x.shape)}."
        )
    return reshape(x, shape=(1,) * (4 - x.ndim) + tuple(x.shape)) if x.ndim < 4 else x


def _by_definition(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Tensor | None, scale: Any, is_causal: bool
) -> Tensor:
    q, k, v = (transpose(x, perm=(0, 2, 1, 3)) for x in (query, key, value))
    scores = matmul(q, swap(k)) * (scale if isinstance(scale, (int, float)) else cast(scale, q.dtype))
    if bias is not None:
        scores = scores + cast(bias, scores.dtype)
    if is_causal:
        targets, sources = scores.shape[2:]
        lower = reshape(iota(size=targets, dtype="int32"), shape=(targets, 1)) >= iota(size=sources, dtype="int32")
        mask = lower if mask is None else el.and_(mask, lower)
    if mask is not None:
        scores = el.where(mask, scores, MASKED)
    return transpose(matmul(fused.softmax(scores, axis=3), v), perm=(0, 2, 1, 3))
