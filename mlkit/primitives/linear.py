"""The primitive of linear algebra: matrix products, batched with broadcasting."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.messages import explained
from mlkit.core.op import Op
from mlkit.core.spec import Spec, broadcast, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.batching import aligned
from mlkit.primitives.counts import elements
from mlkit.primitives.shape import reshape, sum_to, transpose


def swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    n = len(x.shape)
    return transpose(x, perm=(*range(n - 2), n - 1, n - 2))


def _matmul_spec(a: Spec, b: Spec) -> Spec:
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ValueError(f"matmul: both operands need two axes or more, but have shapes {show(a.shape)} and {show(b.shape)}.")
    if a.dtype != b.dtype:
        raise TypeError(f"matmul: operands have dtypes {a.dtype} and {b.dtype}. Convert them with ops.cast first.")
    if not same_size(a.shape[-1], b.shape[-2]):
        raise explained(
            ValueError(
                f"matmul: the last axis of shape {show(a.shape)} and the one before last of {show(b.shape)} must be equal, "
                f"but are {a.shape[-1]} and {b.shape[-2]}."
            ),
            "matmul-the-last-axis-of-shape-and-the-one-before-last-of-must-be-equal",
        )
    return Spec((*broadcast("matmul", a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)


def _matmul_vjp(g: Tensor, y: Tensor | None, a: Tensor, b: Tensor) -> tuple[Tensor | None, ...]:
    ga = sum_to(matmul(g, swap(b)), a.shape)
    if len(b.shape) == 2 < len(a.shape):  # one large product instead of a batch of small ones and their sum
        a, g = (reshape(t, shape=(size_of(t.shape[:-1]), t.shape[-1])) for t in (a, g))
    return ga, sum_to(matmul(swap(a), g), b.shape)


def _flops(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
    return 2 * elements(outs[0]) * args[0].shape[-1]


# (..., m, k) x (..., k, n) -> (..., m, n); leading axes broadcast
matmul = Op("matmul", _matmul_spec, _matmul_vjp, keep="x", traits=Traits(flops=_flops, batch=aligned))
