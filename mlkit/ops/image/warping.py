"""Images sampled at computed places: affine and perspective maps, elastic distortion."""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence

from mlkit.core import dtypes
from mlkit.core.machine import threshold
from mlkit.core.op import Op
from mlkit.core.spec import Size, require_elements, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, TensorLike
from mlkit.objects.seed_generator import Seed, draw_seed
from mlkit.ops.image.filters import blur
from mlkit.ops.image.layout import as_batch, check_choice
from mlkit.ops.linalg.systems import solve
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, cast
from mlkit.primitives.movement import concat, element, iota, slice_along, take
from mlkit.primitives.random import random_normal, split
from mlkit.primitives.reduction import size_operand
from mlkit.primitives.shape import broadcast_to, reshape

__all__ = ["affine_transform", "elastic_transform", "map_coordinates", "perspective_transform"]

_ORDERS = {"nearest": 0, "bilinear": 1}
_FEW = threshold("planes")
_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


# ---- sampling --------------------------------------------------------------------------------------------------------


def _inside(index: Tensor, size: Size, fill_mode: str) -> Tensor:
    """An index beyond the ends -> one within, by the fill mode. size: an int, or a tensor while it is unknown."""
    if fill_mode == "wrap":
        return el.mod(index, size)
    if fill_mode == "mirror":  # ... 2 1 0 1 2 ...
        return index * 0 if type(size) is int and size == 1 else _there_and_back(index, 2 * size - 2, 0)
    if fill_mode == "reflect":  # ... 1 0 0 1 ...
        return _there_and_back(index, 2 * size, 1)
    return el.minimum(el.maximum(index, 0), size - 1)


def _there_and_back(index: Tensor, period: Tensor | Size, twice: Tensor | Size) -> Tensor:
    """The index within a period whose second half goes back. twice: 1 if the ends come two times in a row, else 0."""
    index = el.mod(index, period)
    return el.minimum(index, period - twice - index)


def _round(x: Tensor) -> Tensor:
    """Half away from 0."""
    return el.sign(x) * el.floor(abs(x) + 0.5)


def _neighbours(place: Tensor, order: int) -> list[tuple[Tensor, Tensor | None]]:
    """The samples next to a place along one axis, and their weights."""
    if order == 0:
        return [(cast(_round(place), "int32"), None)]
    lower = el.floor(place)
    weight = place - lower
    index = cast(lower, "int32")
    return [(index, 1 - weight), (index + 1, weight)]


def _corners(
    sizes: Sequence[Size], places: Sequence[Tensor], order: int, fill_mode: str, first_row: Tensor | None = None
) -> list[tuple[Tensor, Tensor | None, Tensor | None]]:
    """The samples around each place: [(number of the sample, weight or None, whether it lies on the grid or None)].

    sizes: of the grid's axes. places: for each of them a float tensor, all of one shape. first_row: what is added to the number
    of the sample (for batches).
    """
    sizes = [size_operand(s, "int32") for s in sizes]
    neighbours = []
    for axis, (size, place) in enumerate(zip(sizes, places)):
        stride = size_of(sizes[axis + 1 :])
        neighbours.append([
            (_inside(i, size, fill_mode) * stride, w, el.and_(i >= 0, i < size) if fill_mode == "constant" else None)
            for i, w in _neighbours(place, order)
        ])  # fmt: skip
    corners = []
    for axes in itertools.product(*neighbours):
        steps, weights, valid = zip(*axes)
        row = functools.reduce(el.add, steps if first_row is None else (first_row, *steps))
        corners.append((row, _product(el.mul, weights), _product(el.and_, valid)))
    return corners


def _product(op: Op, parts: Iterable[Tensor | None]) -> Tensor | None:
    return None if parts[0] is None else functools.reduce(op, parts)


def _interpolated(
    samples: Tensor, corners: Sequence[tuple[Tensor, Tensor | None, Tensor | None]], fill_value: TensorLike, dtype: str
) -> Tensor:
    """The weighted sums of samples (n, channels...). dtype: of the sum."""

    def over_channels(x: Tensor) -> Tensor:
        return reshape(x, shape=(*x.shape, *(1,) * (samples.ndim - 1)))

    total = None
    for row, weight, valid in corners:
        values = cast(take(samples, row, axis=0), dtype)
        if valid is not None:
            values = el.where(over_channels(valid), values, float(fill_value))
        if weight is not None:
            values = values * over_channels(weight)
        total = values if total is None else total + values
    return cast(_round(total) if samples.dtype in dtypes.INTS + dtypes.UINTS else total, samples.dtype)


def map_coordinates(
    inputs: TensorLike, coordinates: TensorLike, order: int, fill_mode: str = "constant", fill_value: TensorLike = 0
) -> Tensor:
    """The values of `inputs` at fractional coordinates.

    Args:
        inputs: n axes.
        coordinates: (n, ...): the first axis holds the coordinates, the others are the result's shape.
        order: 0 (nearest) or 1 (linear).
        fill_mode: what lies beyond the ends: "constant" (fill_value), "nearest", "wrap", "mirror" (about the centre of the last
            sample) or "reflect" (about its edge).
        fill_value: the value beyond the ends with fill_mode="constant".

    >>> map_coordinates([0.0, 10.0], [[0.25, 1.0]], order=1).numpy()
    array([ 2.5, 10. ], dtype=float32)
    """
    x, coordinates = as_tensor(inputs), as_tensor(coordinates)
    if coordinates.ndim < 2 or coordinates.shape[0] != x.ndim:
        raise ValueError(
            f"map_coordinates: `coordinates` must have shape ({x.ndim}, ...) for inputs of shape {show(x.shape)}, but has "
            f"{show(coordinates.shape)}."
        )
    require_elements("map_coordinates", x.shape, range(x.ndim))
    check_choice("map_coordinates", "order", order, (0, 1))
    check_choice("map_coordinates", "fill_mode", fill_mode, _FILL_MODES)
    coordinates = cast(coordinates, dtypes.float_of(coordinates.dtype))
    places = [element(coordinates, i) for i in range(x.ndim)]
    corners = _corners(x.shape, places, order, fill_mode)
    return _interpolated(reshape(x, shape=(size_of(x.shape),)), corners, fill_value, coordinates.dtype)


def _sample_images(
    x: Tensor, y_places: Tensor, x_places: Tensor, interpolation: str, fill_mode: str, fill_value: TensorLike
) -> Tensor:
    """Batch (n, h, w, c) at places (n, h', w')."""
    n, h, w, c = x.shape
    first = reshape(iota(size=n, dtype="int32") * size_operand(h * w, "int32"), shape=(n, 1, 1))
    corners = _corners((h, w), [y_places, x_places], _ORDERS[interpolation], fill_mode, first)
    rows, dtype = reshape(x, shape=(n * h * w, c)), y_places.dtype
    if type(c) is not int or not 0 < c <= _FEW:
        return _interpolated(rows, corners, fill_value, dtype)
    planes = [element(rows, i, axis=1) for i in range(c)]
    results = [_interpolated(plane, corners, fill_value, dtype) for plane in planes]
    return concat(*(reshape(r, shape=(*r.shape, 1)) for r in results), axis=3)


# ---- maps of the plane -----------------------------------------------------------------------------------------------


def _projected(transform: Tensor, n: Size, h: Size, w: Size) -> list[Tensor]:
    """Where each pixel (x, y) of the result comes from: ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1.

    transform: (n or 1, 8), in the order a, b, c.
    """
    a0, a1, a2, b0, b1, b2, c0, c1 = (
        reshape(slice_along(transform, 1, i, i + 1), shape=(transform.shape[0], 1, 1)) for i in range(8)
    )
    x = reshape(iota(size=w, dtype=transform.dtype), shape=(1, 1, w))
    y = reshape(iota(size=h, dtype=transform.dtype), shape=(1, h, 1))
    k = c0 * x + c1 * y + 1
    places = ((b0 * x + b1 * y + b2) / k, (a0 * x + a1 * y + a2) / k)
    return [broadcast_to(p, shape=(n, h, w)) for p in places]


def _check_images(name: str, interpolation: str, fill_mode: str) -> None:
    check_choice(name, "interpolation", interpolation, tuple(_ORDERS))
    check_choice(name, "fill_mode", fill_mode, _FILL_MODES)


def affine_transform(
    images: TensorLike,
    transform: TensorLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: TensorLike = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images moved by maps of the plane.

    Args:
        transform: (8,) for all images or (batch, 8): [a0, a1, a2, b0, b1, b2, c0, c1]; the pixel (x, y) of the result comes
            from ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with k = c0 x + c1 y + 1.
        interpolation: "nearest" or "bilinear".
        fill_mode, fill_value: as in `map_coordinates`.
    """
    _check_images("affine_transform", interpolation, fill_mode)
    x, restore = as_batch("affine_transform", images, data_format)
    transform = as_tensor(transform)
    transform = cast(transform, dtypes.float_of(transform.dtype))
    if transform.ndim not in (1, 2) or transform.shape[-1] != 8:
        raise ValueError(f"affine_transform: `transform` must have shape (8,) or (batch, 8), but has {show(transform.shape)}.")
    if transform.ndim == 1:
        transform = reshape(transform, shape=(1, 8))
    n, h, w, _ = x.shape
    return restore(_sample_images(x, *_projected(transform, n, h, w), interpolation, fill_mode, fill_value))


def perspective_transform(
    images: TensorLike,
    start_points: TensorLike,
    end_points: TensorLike,
    interpolation: str = "bilinear",
    fill_value: TensorLike = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images distorted so that four points move to four others.

    Args:
        start_points, end_points: (x, y) of each point, shape (4, 2) or (batch, 4, 2).
        interpolation: "nearest" or "bilinear".
        fill_value: the value of pixels from beyond the image.
    """
    _check_images("perspective_transform", interpolation, "constant")
    x, restore = as_batch("perspective_transform", images, data_format)
    start, end = (cast(p, "float32") for p in (start_points, end_points))
    for name, points in (("start_points", start), ("end_points", end)):
        if points.ndim not in (2, 3) or points.shape[-2:] != (4, 2):
            raise ValueError(
                f"perspective_transform: `{name}` must have shape (4, 2) or (batch, 4, 2), but has {show(points.shape)}."
            )
    if start.ndim != end.ndim:
        raise ValueError("perspective_transform: `start_points` and `end_points` must have the same shape.")
    if start.ndim == 2:
        start, end = (reshape(p, shape=(1, 4, 2)) for p in (start, end))
    n, h, w, _ = x.shape
    places = _projected(homography(start, end), n, h, w)
    return restore(_sample_images(x, *places, interpolation, "constant", fill_value))


def homography(start: Tensor, end: Tensor) -> Tensor:
    """The eight numbers of the projective map from end to start points: (n, 4, 2) twice -> (n, 8).

    Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 4.1.
    """

    n = start.shape[0]
    sx, sy, ex, ey = (slice_along(p, 2, i, i + 1) for p in (start, end) for i in range(2))
    one, zero = ex * 0 + 1, ex * 0
    rows_x = concat(ex, ey, one, zero, zero, zero, -sx * ex, -sx * ey, axis=2)
    rows_y = concat(zero, zero, zero, ex, ey, one, -sy * ex, -sy * ey, axis=2)
    solution = solve(concat(rows_x, rows_y, axis=1), concat(sx, sy, axis=1))
    return reshape(solution, shape=(n, 8))


_WIDE = 1 << 16  # pixels


def elastic_transform(
    images: TensorLike,
    alpha: FloatOrSequence = 20.0,
    sigma: FloatOrSequence = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: TensorLike = 0.0,
    seed: Seed = None,
    data_format: str | None = None,
) -> Tensor:
    """Images distorted by a smooth random displacement of their pixels.

    Args:
        alpha: strength of the displacement, in pixels.
        interpolation, fill_mode, fill_value: as in `affine_transform`.
        seed: int, SeedGenerator or None.
        sigma: smoothness of the displacement, in pixels.

    Simard, Steinkraus and Platt, ICDAR 2003.
    """
    _check_images("elastic_transform", interpolation, fill_mode)
    x, restore = as_batch("elastic_transform", images, data_format)
    n, h, w, _ = x.shape
    alpha, sigma = float(as_tensor(alpha)), float(as_tensor(sigma))
    if not (math.isfinite(alpha) and 0 <= sigma < _WIDE):
        raise ValueError(
            f"elastic_transform: `alpha` must be finite and `sigma` between 0 and {_WIDE}, but got {alpha} and {sigma}."
        )
    width = int(6 * sigma) | 1
    places = []
    for axis, key in zip((1, 2), split(draw_seed(seed), 2)):
        noise = random_normal(key, shape=(n, h, w, 1), dtype="float32") * sigma
        shift = reshape(blur(noise, (width, width), (sigma, sigma)), shape=(n, h, w))
        line = reshape(iota(size=x.shape[axis], dtype="float32"), shape=tuple(x.shape[a] if a == axis else 1 for a in range(3)))
        places.append(line + alpha * shift)
    return restore(_sample_images(x, *places, interpolation, fill_mode, fill_value))
