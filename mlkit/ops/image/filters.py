"""Filters of small windows, and the structural similarity of images."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import compatible, show, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, IntOrSequence, TensorLike
from mlkit.objects.keras_tensor import symbolic
from mlkit.ops.image.layout import as_batch
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, cast
from mlkit.primitives.movement import concat, element, iota, pad, slice_along
from mlkit.primitives.reduction import size_along, size_operand
from mlkit.primitives.shape import reshape, sum_

__all__ = ["gaussian_blur", "sobel_edges", "ssim"]


def _along(x: Tensor, axis: int, weights: Sequence[Any], padded: bool = True) -> Tensor:
    """Correlate one axis with a vector of weights (Python numbers or scalars), with zeros beyond the ends if `padded`."""
    taps = len(weights)
    if padded:
        low = tuple((taps - 1) // 2 if i == axis else 0 for i in range(x.ndim))
        high = tuple(taps // 2 if i == axis else 0 for i in range(x.ndim))
        x = pad(x, value=0, low=low, high=high, interior=(0,) * x.ndim)
    size = x.shape[axis] - (taps - 1)
    total = None
    for i, w in enumerate(weights):
        if isinstance(w, (int, float)) and w == 0:
            continue
        part = slice_along(x, axis, i, i + size)
        part = part if isinstance(w, (int, float)) and w == 1 else part * w
        total = part if total is None else total + part
    return total


def _gaussian(size: int, sigma: float, dtype: str) -> list[Tensor]:
    """Weights that sum to 1, as a list of scalars."""
    x = (iota(size=size, dtype=dtype) - (size - 1) / 2) / sigma
    w = el.exp(-0.5 * (x * x))
    w = w / sum_(w, axes=(0,), keepdims=True)
    return [element(w, i) for i in range(size)]


def blur(x: Tensor, kernel_size: Sequence[int], sigma: Sequence[float]) -> Tensor:
    """`gaussian_blur` of a batch with channels last. Separable: one axis after the other."""
    (width, height), (sigma_x, sigma_y) = kernel_size, sigma
    return _along(_along(x, 1, _gaussian(height, sigma_y, x.dtype)), 2, _gaussian(width, sigma_x, x.dtype))


def _to_blur(images: TensorLike, data_format: str | None) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    x, restore = as_batch("gaussian_blur", images, data_format)
    if x.dtype not in dtypes.FLOATS:
        raise ValueError(f"gaussian_blur: expected images of a float dtype, but got {x.dtype}.")
    return x, restore


def _blurred(images: TensorLike, kernel_size: Any = None, sigma: Any = None, data_format: str | None = None) -> Tensor:
    x, restore = _to_blur(images, data_format)
    return restore(x)


@symbolic(_blurred)  # the sizes of a kernel change no shape: they may be known later
def gaussian_blur(
    images: TensorLike, kernel_size: IntOrSequence = (3, 3), sigma: FloatOrSequence = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    """Images averaged with the weights of a Gaussian; beyond the edges lie zeros.

    Args:
        images: float (height, width, channels), a batch of them, or with channels first.
        kernel_size: pixels (horizontally, vertically), numbers or a tensor whose values are known.
        sigma: standard deviations in pixels, in the same order; numbers or a tensor.
    """
    x, restore = _to_blur(images, data_format)
    if isinstance(sigma, (tuple, list)):
        deviations = [s if isinstance(s, (int, float)) else cast(s, x.dtype) for s in sigma]
    else:
        sigma = cast(sigma, x.dtype)
        if sigma.shape != (2,):
            raise ValueError(f"gaussian_blur: `sigma` must be a pair, but is a tensor of shape {show(sigma.shape)}.")
        deviations = [element(sigma, i) for i in range(2)]
    if isinstance(kernel_size, np.ndarray) or (isinstance(kernel_size, Tensor) and kernel_size.is_concrete):
        kernel_size = np.asarray(kernel_size).tolist()
    if not isinstance(kernel_size, (tuple, list)) or len(kernel_size) != 2 or len(deviations) != 2:
        raise ValueError(f"gaussian_blur: `kernel_size` and `sigma` must be pairs, but got {kernel_size!r} and {sigma!r}.")
    return restore(blur(x, [whole("gaussian_blur", "`kernel_size`", n, least=1) for n in kernel_size], deviations))


def sobel_edges(images: TensorLike, data_format: str | None = None) -> Tensor:
    """Vertical and horizontal derivatives by Sobel's filters, in a new last axis: (..., 2) holds (d/dy, d/dx).

    Sobel and Feldman, "An Isotropic 3x3 Image Gradient Operator", 1968.

    Args:
        images: a batch of images, channels last or first.

    Beyond the edges lie zeros.
    """
    x = as_tensor(images)
    if x.ndim != 4:
        raise ValueError(f"sobel_edges: expected a batch of images with 4 dimensions, but got shape {show(x.shape)}.")
    x, restore = as_batch("sobel_edges", x, data_format)
    edges = []
    for along, across in ((1, 2), (2, 1)):
        edge = restore(_along(_along(x, along, (-1, 0, 1)), across, (1, 2, 1)))
        edges.append(reshape(edge, shape=(*edge.shape, 1)))
    return concat(*edges, axis=4)


def ssim(
    image1: TensorLike,
    image2: TensorLike,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """Structural similarity of two images, 1 for equal ones: a scalar, or a vector for batches.

    Args:
        max_val: the largest value a pixel can have.
        filter_size, filter_sigma: of the Gaussian window.
        k1, k2: what steadies divisions by small means and variances.
        image1, image2: (height, width, channels), or batches of them, of equal shape.

    Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Processing 13 (2004).
    """
    a, _ = as_batch("ssim", image1, data_format)
    b, _ = as_batch("ssim", image2, data_format)
    if not compatible(a.shape, b.shape):
        raise ValueError(f"ssim: the images must have the same shape, but have {show(a.shape)} and {show(b.shape)}.")
    dtype = a.dtype
    a, b = (cast(x, dtypes.float_of(dtype)) for x in (a, b))
    weights = _gaussian(whole("ssim", "`filter_size`", filter_size, least=1), filter_sigma, a.dtype)

    def average(x: Tensor) -> Tensor:
        return _along(_along(x, 1, weights, padded=False), 2, weights, padded=False)

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_a, mean_b = average(a), average(b)
    product = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    covariance = average(a * b) - product
    variances = average(a * a) + average(b * b) - squares
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    score = sum_(similarity, axes=(1, 2, 3), keepdims=False) / size_operand(size_along(similarity, (1, 2, 3)), similarity.dtype)
    return cast(reshape(score, shape=()) if as_tensor(image1).ndim == 3 else score, dtype)
