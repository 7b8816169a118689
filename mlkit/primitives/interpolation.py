"""Separable interpolation: kernels, which are weights by distance in samples, and matrices of such weights, one for each axis."""

import functools
import math
from collections.abc import Callable
from typing import Any

from mlkit.core.spec import is_known
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives.linear import matmul
from mlkit.primitives.movement import iota
from mlkit.primitives.shape import inverse_permutation, reshape, sum_, transpose


def triangle(x: Tensor) -> Tensor:
    return el.maximum(1 - x, 0.0)


def _cubic(x: Tensor) -> Tensor:
    """R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981), with a = -1/2."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return el.where(x >= 2, 0.0, el.where(x >= 1, far, near))


def _lanczos(radius: int, x: Tensor) -> Tensor:
    """C. E. Duchon, "Lanczos filtering in one and two dimensions", J. Applied Meteorology 18 (1979)."""
    safe = el.where(x > 1e-3, x, 1.0)
    y = radius * el.sin(math.pi * safe) * el.sin(math.pi * safe / radius) / (math.pi**2 * safe * safe)
    return el.where(x > radius, 0.0, el.where(x > 1e-3, y, 1.0))


KERNELS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _cubic),
    "lanczos3": functools.partial(_lanczos, 3),
    "lanczos5": functools.partial(_lanczos, 5),
}


def weights(
    size: Any,
    new_size: Any,
    scale: float | Tensor,
    translation: float | Tensor,
    kernel: Callable[[Tensor], Tensor],
    antialias: bool,
    dtype: str,
) -> Tensor:
    """Matrix (size, new_size) whose columns are the weights of a new sample; 0 for samples outside the image.

    antialias: when shrinking, the kernel is as much wider as the new samples are farther apart.
    """
    step = 1 / scale
    place = (iota(size=new_size, dtype=dtype) + 0.5) * step - translation * step - 0.5
    distance = abs(place - reshape(iota(size=size, dtype=dtype), shape=(size, 1)))
    if antialias:
        distance = distance / (el.maximum(step, 1.0) if not isinstance(step, float) else max(step, 1.0))
    w = kernel(distance)
    total = sum_(w, axes=(0,), keepdims=True)
    w = el.where(abs(total) > 1000 * 2.0**-23, w / el.where(el.equal(total, 0), 1.0, total), 0.0)
    end = size - 0.5 if is_known(size) else 0.0  # unknown while symbolic, where only shapes count
    inside = el.and_(place >= -0.5, place <= end)
    return el.where(inside, w, 0.0)


def multiply_along(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Contract one axis with the rows of a matrix."""
    order = (*(i for i in range(x.ndim) if i != axis), axis)
    return transpose(matmul(transpose(x, perm=order), matrix), perm=inverse_permutation(order))
