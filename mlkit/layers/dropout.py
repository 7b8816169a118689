"""Layers that disturb their inputs in training, and leave them alone in inference."""

from typing import Any

from mlkit import ops, random, regularizers
from mlkit.core.typing import Shape, Structure
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.layers.activation import Pointwise
from mlkit.layers.argument_checks import layout
from mlkit.layers.input_spec import InputSpec
from mlkit.objects.seed_generator import Seed
from mlkit.random.samplers import mask_shape


class Disturbance(Pointwise):
    """Base: `disturbed(inputs)` in training.

    Args:
        rate: strength of the disturbance, from 0 to 1; of dropout the share of elements that are dropped.
        seed: an int makes the noise repeatable.
    """

    def __init__(self, seed: Seed = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed) if self.strength > 0 else None

    strength = 0  # how much; subclasses set it before this __init__

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.disturbed(inputs) if training and self.strength > 0 else inputs


def _checked_rate(layer: Any, rate, name="rate", below_one=False):
    if below_one and rate == 1:
        raise ValueError(
            f"{type(layer).__name__}: Invalid value for `{name}`: it divides by 1 - {name}, so it must be below 1."
        )
    if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(
            f"{type(layer).__name__}: Invalid value for `{name}`: expected a number between 0 and 1, but got {rate!r}."
        )
    return rate


def _checked_noise_shape(layer: Any, noise_shape: Shape | None):
    if noise_shape is None:
        return None
    if not isinstance(noise_shape, (tuple, list)) or any(
        not (n is None or (isinstance(n, int) and n > 0)) for n in noise_shape
    ):
        raise ValueError(f"{type(layer).__name__}: `noise_shape` must hold positive integers or None, but got {noise_shape!r}.")
    return tuple(noise_shape)


class Dropout(Disturbance):
    """In training sets each element to 0 with probability `rate` and scales the others by 1 / (1 - rate) (Srivastava et al.,
    2014).

    Args:
        noise_shape: shape of the mask, with 1 where it is shared and None where it is the input's.

    >>> import mlkit
    >>> mlkit.layers.Dropout(0.5)(mlkit.ops.ones((2, 2))).numpy().sum()
    np.float32(4.0)
    """

    def __init__(self, rate: float, noise_shape: Shape | None = None, seed: Seed = None, **kwargs: Any):
        self.rate = self.strength = _checked_rate(self, rate)
        self.noise_shape = _checked_noise_shape(self, noise_shape)
        super().__init__(seed=seed, **kwargs)

    def disturbed(self, inputs: Structure) -> Any:
        return random.dropout(inputs, self.rate, noise_shape=self.mask_shape(inputs), seed=self.seed_generator)

    def mask_shape(self, inputs: Structure) -> Any:
        """Shape of the random mask, None where it is the inputs'."""
        return self.noise_shape


class BaseSpatialDropout(Dropout):
    """Dropout of whole channels: positions of a map drop together."""

    def __init__(self, rate: float, seed: Seed = None, name: str | None = None, dtype: DTypeOrPolicy = None, **kwargs: Any):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class SpatialDropout1D(BaseSpatialDropout):
    """Dropout of whole channels of (batch, steps, channels).

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015 (arXiv:1411.4280).
    """

    def __init__(self, rate: float, seed: Seed = None, name: str | None = None, dtype: DTypeOrPolicy = None):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)

    def mask_shape(self, inputs: Structure) -> Any:
        return (inputs.shape[0], 1, inputs.shape[2])


class _SpatialDropoutND(BaseSpatialDropout):
    rank = None

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Seed = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = layout(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def mask_shape(self, inputs: Structure) -> Any:
        ones = (1,) * self.rank
        batch = inputs.shape[0]
        return (batch, *ones, inputs.shape[-1]) if self.data_format == "channels_last" else (batch, inputs.shape[1], *ones)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class SpatialDropout2D(_SpatialDropoutND):
    """Dropout of whole channels of images (Tompson et al., 2014)."""

    rank = 2


class SpatialDropout3D(_SpatialDropoutND):
    """Dropout of whole channels of volumes.

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015 (arXiv:1411.4280).
    """

    rank = 3


class GaussianDropout(Disturbance):
    """Multiplies by noise of mean 1 and standard deviation sqrt(rate / (1 - rate)) (Srivastava et al., 2014)."""

    def __init__(self, rate: float, seed: Seed = None, **kwargs: Any):
        self.rate = self.strength = _checked_rate(self, rate, below_one=True)
        super().__init__(seed=seed, **kwargs)

    def disturbed(self, inputs: Structure) -> Any:
        deviation = (self.rate / (1.0 - self.rate)) ** 0.5
        return inputs * random.normal(inputs.shape, 1.0, deviation, dtype=inputs.dtype, seed=self.seed_generator)


class GaussianNoise(Disturbance):
    """Adds noise of mean 0 and the given standard deviation.

    Args:
        stddev: standard deviation of the noise.

    Input: any shape; the output has it.
    """

    def __init__(self, stddev: float, seed: Seed = None, **kwargs: Any):
        self.stddev = self.strength = _checked_rate(self, stddev, "stddev")
        super().__init__(seed=seed, **kwargs)

    def disturbed(self, inputs: Structure) -> Any:
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, dtype=inputs.dtype, seed=self.seed_generator)


class AlphaDropout(Disturbance):
    """Dropout that keeps mean and variance of SELU networks: dropped elements take SELU's lower limit (Klambauer et al.,
    2017).

    Args:
        noise_shape: shape of the mask, with 1 where it is shared and None where it is the input's.
    """

    _lowest = -1.6732632423543772 * 1.0507009873554805

    def __init__(self, rate: float, noise_shape: Shape | None = None, seed: Seed = None, **kwargs: Any):
        self.rate = self.strength = _checked_rate(self, rate, below_one=True)
        self.noise_shape = _checked_noise_shape(self, noise_shape)
        super().__init__(seed=seed, **kwargs)

    def disturbed(self, inputs: Structure) -> Any:
        shape = mask_shape("AlphaDropout", self.noise_shape, inputs.shape)
        kept = ops.cast(random.uniform(shape, seed=self.seed_generator) >= self.rate, inputs.dtype)
        a = ((1 - self.rate) * (1 + self.rate * self._lowest**2)) ** -0.5
        b = -a * self._lowest * self.rate
        return a * (inputs * kept + self._lowest * (1 - kept)) + b


class ActivityRegularization(Pointwise):
    """Passes its inputs on, and adds ``l1 * sum|x| + l2 * sum x^2`` to the loss.

    Args:
        l1, l2: factors of the two sums.

    Input: any shape; the output has it.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        if "activity_regularizer" in kwargs:
            raise TypeError("ActivityRegularization: pass `l1` and `l2`; it has no argument `activity_regularizer`.")
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return config
