"""QR decomposition."""

from collections.abc import Sequence

from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.axes import on_last_axes
from mlkit.primitives.counts import of_matrices
from mlkit.primitives.linalg.matrix import check_known, lower, real_only
from mlkit.primitives.linalg.triangular import triangular_solve
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import concat, full, slice_along


def _qr_spec(x: Spec, mode: str) -> tuple[Spec, ...]:
    check_known("qr", x)
    *batch, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    return Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


def _zeros_like(x: Tensor) -> Tensor:
    return full(shape=x.shape, value=0, dtype=x.dtype)


def _qr_vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], x: Tensor, mode: str) -> tuple[Tensor | None, ...]:
    """Walter and Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum experimental
    design", 2013. Of a wide matrix [A | B] the square A fixes q, and r = [u | q^T B] (Roberts and Roberts, 2020)."""
    real_only("qr", x)
    q, r = out
    gq, gr = (_zeros_like(t) if gt is None else gt for gt, t in zip(g, out))
    m, n = x.shape[-2:]
    if mode == "complete" and m > n:
        raise NotImplementedError(
            f"qr: for the tall shape {x.shape} and mode='complete' the last {m - n} columns of q are arbitrary and have no "
            "gradient. Use mode='reduced'."
        )
    if m >= n:
        return (_tall_vjp(gq, gr, q, r),)
    axis = x.ndim - 1
    gu, gv = slice_along(gr, axis, 0, m), slice_along(gr, axis, m, n)
    b = slice_along(x, axis, m, n)
    ga = _tall_vjp(gq + matmul(b, swap(gv)), gu, q, slice_along(r, axis, 0, m))
    return (concat(ga, matmul(q, gv), axis=axis),)


def _tall_vjp(gq: Tensor, gr: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """(gq + q sym(r gr^T - gq^T q)) r^-T, where sym mirrors the lower triangle."""
    inner = matmul(r, swap(gr)) - matmul(swap(gq), q)
    mirrored = lower(inner) + swap(lower(inner, -1))
    right = gq + matmul(q, mirrored)
    return swap(triangular_solve(r, swap(right), lower=False))


# mode: "reduced" or "complete"
qr = Op("qr", _qr_spec, _qr_vjp, traits=Traits(flops=of_matrices(lambda m, n, k: 2 * m * n * n), batch=on_last_axes))
