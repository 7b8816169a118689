"""Samplers: random bits turned into the common distributions, by ops only, so that they run eager, traced and symbolic
alike.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from mlkit.core import dtypes
from mlkit.core.autograd import as_function_of
from mlkit.core.spec import Size, broadcasts_to, normalize_axis, require_float, show, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Shape, ShapeLike, TensorLike
from mlkit.objects.seed_generator import Seed, draw_seed
from mlkit.primitives import elementwise as el
from mlkit.primitives import random as bits
from mlkit.primitives.convert import as_shape, as_tensor, cast, to_float
from mlkit.primitives.fused import masked_scale
from mlkit.primitives.movement import full, take
from mlkit.primitives.reduction import argmax
from mlkit.primitives.shape import reshape
from mlkit.primitives.sorting import argsort


def float_dtype(name: str, dtype: DType | None) -> Tensor:
    dtype = dtypes.standardize_dtype(dtype)
    if dtype not in dtypes.FLOATS:
        raise ValueError(f"random.{name}: expected a floating point `dtype`, but got {dtype!r}.")
    return dtype


def uniform(
    shape: ShapeLike, minval: float = 0.0, maxval: float = 1.0, dtype: DType | None = None, seed: Seed | Tensor = None
) -> Tensor:
    """Numbers spread evenly over [minval, maxval).

    Args:
        shape: sizes.
        dtype: a float type, by default floatx.
        seed: int, SeedGenerator or None.
        minval, maxval: bounds; the upper one is not drawn.

    >>> import mlkit
    >>> x = mlkit.random.uniform((1000,), minval=-1.0, seed=7)
    >>> bool(mlkit.ops.all(x >= -1)), bool(mlkit.ops.all(x < 1))
    (True, True)
    """
    dtype = float_dtype("uniform", dtype)
    draw = functools.partial(bits.random_uniform, draw_seed(seed), shape=as_shape("random.uniform", shape), dtype=dtype)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)):
        return draw(low=float(minval), high=float(maxval))
    return _scale(draw(), maxval - minval, minval)


def normal(
    shape: ShapeLike, mean: float = 0.0, stddev: float = 1.0, dtype: DType | None = None, seed: Seed | Tensor = None
) -> Tensor:
    """Numbers of the normal distribution with this mean and standard deviation.

    Args:
        shape: sizes.
        dtype: a float type, by default floatx.
        seed: int, SeedGenerator or None.
        mean, stddev: of the distribution.
    """
    dtype = float_dtype("normal", dtype)
    return _scale(bits.random_normal(draw_seed(seed), shape=as_shape("random.normal", shape), dtype=dtype), stddev, mean)


def truncated_normal(
    shape: ShapeLike, mean: float = 0.0, stddev: float = 1.0, dtype: DType | None = None, seed: Seed | Tensor = None
) -> Tensor:
    """Numbers of the normal distribution, none more than two standard deviations from the mean.

    By the inverse of the cumulative distribution.

    Args:
        shape: sizes.
        dtype: a float type, by default floatx.
        seed: int, SeedGenerator or None.
        mean, stddev: of the normal distribution; what is further than two deviations from the mean is drawn anew.
    """
    dtype = float_dtype("truncated_normal", dtype)
    edge = math.erf(2 / math.sqrt(2))
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    u = bits.random_uniform(draw_seed(seed), shape=as_shape("random.truncated_normal", shape), dtype=wide)
    x = el.erfinv((2 * u - 1) * edge) * math.sqrt(2)
    x = el.minimum(el.maximum(x, -2.0), 2.0)
    return _scale(cast(x, dtype), stddev, mean)


def without_gradient(name: str, arguments: Sequence[Any], samples: Tensor) -> Tensor:
    """Samples through which no gradient can go to the arguments of their distribution."""

    def refuse(*_: Any) -> NoReturn:
        raise ValueError(
            f"random.{name}: a gradient was asked for through its samples, which have none: whole numbers do not move with "
            "the arguments of the distribution. Put ops.stop_gradient around the samples."
        )

    return as_function_of(arguments, samples, refuse)


def _is_number(x: Any, value: float) -> bool:
    return isinstance(x, (int, float)) and x == value


def _scale(x: Tensor, factor: Any, offset: Any) -> Tensor:
    """x * factor + offset in x's dtype; factor and offset are numbers or tensors."""
    if not _is_number(factor, 1):
        x = x * _like(factor, x.dtype)
    return x if _is_number(offset, 0) else x + _like(offset, x.dtype)


def _like(value: Any, dtype: str) -> Any:
    return float(value) if isinstance(value, (int, float)) else cast(value, dtype)


def randint(
    shape: ShapeLike, minval: TensorLike, maxval: TensorLike, dtype: DType = "int32", seed: Seed | Tensor = None
) -> Tensor:
    """Integers spread evenly over minval, ..., maxval - 1.

    Args:
        minval, maxval: ints or integer tensors that broadcast with `shape`.
        dtype: an integer type.
        seed: int, SeedGenerator or None.
    """
    dtype = dtypes.standardize_dtype(dtype)
    if not dtypes.is_int(dtype):
        raise ValueError(f"random.randint: expected an integer `dtype`, but got {dtype!r}.")
    word = bits.random_bits(
        draw_seed(seed), shape=as_shape("random.randint", shape), dtype="uint64"
    )  # far wider than any range: no bias to speak of
    if isinstance(minval, int) and isinstance(maxval, int):
        if maxval <= minval:
            raise ValueError(f"random.randint: `maxval` must be above `minval`, but got {minval} and {maxval}.")
        for number in (minval, maxval - 1):
            dtypes.as_number(number, dtype, "random.randint")
        return cast(cast(el.mod(word, maxval - minval), "int64") + minval, dtype)
    for number in (minval, maxval):
        if isinstance(number, (int, float)):
            dtypes.as_number(number, "int64", "random.randint")
    low, high = cast(minval, "int64"), cast(maxval, "int64")
    return cast(cast(el.mod(word, cast(high - low, "uint64")), "int64") + low, dtype)


def categorical(logits: TensorLike, num_samples: int, dtype: DType = "int32", seed: Seed | Tensor = None) -> Tensor:
    """Class indices drawn with probabilities softmax(logits).

    Args:
        logits: (batch, classes).
        num_samples: draws for each row.

    Returns (batch, num_samples). By the Gumbel-max trick: the largest of logits + Gumbel noise. Indices have no gradient: one
    asked for through them is an error.
    """
    logits = to_float(logits)
    if logits.ndim != 2:
        raise ValueError(f"random.categorical: expected logits of shape (batch, classes), but got shape {logits.shape}.")
    batch, classes = logits.shape
    wide = el.stop_gradient(cast(logits, "float64" if logits.dtype == "float64" else "float32"))
    num_samples = whole("random.categorical", "`num_samples`", num_samples, least=0)
    u = bits.random_uniform(draw_seed(seed), shape=(batch, num_samples, classes), dtype=wide.dtype)
    gumbel = -el.log(-el.log(u))
    drawn = cast(argmax(reshape(wide, shape=(batch, 1, classes)) + gumbel, axis=2), dtype)
    return without_gradient("categorical", (logits,), drawn)


def dropout(inputs: TensorLike, rate: float, noise_shape: Shape | None = None, seed: Seed | Tensor = None) -> Tensor:
    """Elements set to 0 with probability `rate`, the others divided by 1 - rate, so that the expected value stays.

    Args:
        noise_shape: shape of the mask, broadcast to the inputs; a None stands for the inputs' size of the same place.
        inputs: tensor.
        rate: share of the elements that are dropped.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).
    """
    x = as_tensor(inputs)
    require_float("random.dropout", "`inputs`", x)
    if not 0 <= rate <= 1:
        raise ValueError(f"random.dropout: `rate` must be in [0, 1], but got {rate}.")
    if rate == 0:
        return x
    if rate == 1:
        return full(shape=x.shape, value=0, dtype=x.dtype)
    keep = bits.bernoulli(draw_seed(seed), shape=mask_shape("random.dropout", noise_shape, x.shape), p=1 - rate)
    return masked_scale(x, keep, scale=1 / (1 - rate))


def mask_shape(name: str, noise_shape: Shape | None, shape: Sequence[Size]) -> Tensor:
    """The shape of a random mask for a tensor: its own, or that of `noise_shape` if it broadcasts to it."""
    if noise_shape is None:
        return shape
    sizes = tuple(m if n is None else whole(name, "a size", n) for n, m in zip(noise_shape, shape))
    if len(noise_shape) > len(shape) or not broadcasts_to(sizes, shape):
        raise ValueError(f"{name}: `noise_shape` {show(noise_shape)} does not broadcast to inputs of shape {show(shape)}.")
    return sizes


def shuffle(x: TensorLike, axis: int = 0, seed: Seed | Tensor = None) -> Tensor:
    """The slices along one axis in random order.

    Args:
        x: tensor.
        axis: the axis whose elements change places.
    """
    x = as_tensor(x)
    axis = normalize_axis("random.shuffle", axis, x.ndim)
    order = argsort(bits.random_bits(draw_seed(seed), shape=(x.shape[axis],), dtype="uint64"), axis=0)
    return take(x, order, axis=axis)
