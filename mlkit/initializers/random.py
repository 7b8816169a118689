"""Initializers that draw random numbers."""

import math
import random as python_random
from typing import Any

from mlkit import ops, random
from mlkit.core.dtypes import standardize_dtype
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, DType, FloatOrSequence, Shape
from mlkit.initializers.initializer import Initializer, compute_fans
from mlkit.objects.config_object import serialized
from mlkit.objects.seed_generator import Seed
from mlkit.objects.serialization import deserialize_keras_object


class RandomInitializer(Initializer):
    """Base of the random ones.

    Args:
        seed: int, for the same values at every call; a `mlkit.random.SeedGenerator`, for others at every call; or None: an int
            drawn from Python's `random`, which `mlkit.utils.set_random_seed` seeds.
    """

    def __init__(self, seed: Seed = None):
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, random.SeedGenerator))):
            raise ValueError(
                f"{type(self).__name__}: `seed` must be an int, a mlkit.random.SeedGenerator or None, but got {seed!r}."
            )
        self._given_seed = seed
        self.seed = python_random.randint(1, 10**9) if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": serialized(self._given_seed)}


class RandomNormal(RandomInitializer):
    """Normal distribution of the given mean and standard deviation.

    Args:
        mean, stddev: of the distribution.

    >>> RandomNormal(stddev=1.0, seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        return random.normal(shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed)


class TruncatedNormal(RandomInitializer):
    """Normal distribution without the values beyond two standard deviations.

    `stddev` is that of the distribution before it is cut; after it is 0.88 times that.

    Args:
        mean, stddev: of the normal distribution.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        return random.truncated_normal(shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed)


class RandomUniform(RandomInitializer):
    """Uniform distribution over ``[minval, maxval)``.

    Args:
        minval, maxval: bounds.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None):
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        return random.uniform(shape, minval=self.minval, maxval=self.maxval, dtype=dtype, seed=self.seed)


_STDDEV_OF_TRUNCATED = 0.87962566103423978  # of the standard normal distribution cut at -2 and 2


class VarianceScaling(RandomInitializer):
    """Random values of variance ``scale / n``, so that signals keep their size through the layer.

    Glorot and Bengio, AISTATS 2010; He et al., ICCV 2015 (arXiv:1502.01852).

    Args:
        scale: positive number.
        mode: what n is: "fan_in" (number of inputs of a unit), "fan_out" (of outputs) or "fan_avg" (their mean).
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        input_axes, output_axes: see `compute_fans`.

    >>> values = VarianceScaling(scale=2.0, seed=0)((50, 100)).numpy()
    >>> bool(abs(values.var() - 2 / 50) < 0.005)
    True
    """

    def __init__(
        self,
        scale: FloatOrSequence = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Axis = None,
        output_axes: Axis = None,
    ):
        if scale <= 0:
            raise ValueError(f"{type(self).__name__}: `scale` must be positive, but got {scale!r}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f'{type(self).__name__}: `mode` must be "fan_in", "fan_out" or "fan_avg", but got {mode!r}.')
        distribution = distribution.lower()
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f'{type(self).__name__}: `distribution` must be "truncated_normal", "untruncated_normal" or "uniform", '
                f"but got {distribution!r}."
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, n))
        if self.distribution == "truncated_normal":
            return random.truncated_normal(shape, stddev=stddev / _STDDEV_OF_TRUNCATED, dtype=dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, stddev=stddev, dtype=dtype, seed=self.seed)
        limit = math.sqrt(3.0) * stddev
        return random.uniform(shape, minval=-limit, maxval=limit, dtype=dtype, seed=self.seed)


class GlorotUniform(VarianceScaling):
    """Uniform, variance ``2 / (fan_in + fan_out)``. Glorot & Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html."""

    def __init__(self, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None):
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """Truncated normal, variance ``2 / (fan_in + fan_out)``. Glorot & Bengio 2010, see `GlorotUniform`."""

    def __init__(self, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """Truncated normal, variance ``1 / fan_in``; goes with SELU. Klambauer et al. 2017, https://arxiv.org/abs/1706.02515."""

    def __init__(self, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None):
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """Uniform, variance ``1 / fan_in``. Klambauer et al. 2017, https://arxiv.org/abs/1706.02515."""

    def __init__(self, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None):
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """Truncated normal, variance ``2 / fan_in``; goes with ReLU. He et al. 2015, https://arxiv.org/abs/1502.01852."""

    def __init__(self, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None):
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """Uniform, variance ``2 / fan_in``. He et al. 2015, https://arxiv.org/abs/1502.01852."""

    def __init__(self, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None):
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer.

    All axes but the last are taken as one. Saxe et al. 2014, https://arxiv.org/abs/1312.6120.

    Args:
        gain: factor on the matrix.

    >>> from mlkit import ops
    >>> q = Orthogonal(seed=0)((5, 3))
    >>> bool(ops.all(ops.abs(ops.transpose(q) @ q - ops.eye(3)) < 1e-5))
    True
    """

    def __init__(self, gain: FloatOrSequence = 1.0, seed: Seed = None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal initializes weights of two axes or more, but the shape is {tuple(shape)}.")
        dtype = standardize_dtype(dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        # half precision has no QR decomposition
        normal = random.normal(
            (max(rows, columns), min(rows, columns)), dtype="float32" if "16" in dtype else dtype, seed=self.seed
        )
        q, r = ops.qr(normal)
        q = q * ops.sign(ops.diagonal(r))  # makes the decomposition unique, and so the distribution uniform
        q = ops.transpose(q) if rows < columns else q
        return ops.cast(self.gain * ops.reshape(q, shape), dtype)
