"""Normalization layers."""

import math
from typing import Any

from mlkit import ops
from mlkit.core.communicator import in_step
from mlkit.core.dtypes import is_float, result_type
from mlkit.core.typing import Axes, Axis, DType, Structure
from mlkit.layers.argument_checks import axes_of, require_axes, within
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.weights import Weight, weights
from mlkit.primitives import fused


@weights(
    beta=Weight("zeros", autocast=False),
    gamma=Weight("ones", autocast=False),
    moving_mean=Weight("zeros", trainable=False, autocast=False),
    moving_variance=Weight("ones", trainable=False, autocast=False),
)
class BatchNormalization(Layer):
    """Each channel shifted and scaled to mean 0 and variance 1, then by learned `beta` and `gamma` (Ioffe and Szegedy, 2015).

    In training the batch's statistics are used and the moving ones updated with `momentum`; in inference, and whenever the
    layer is frozen (trainable=False), the moving ones are used.

    Args:
        axis: the channel axis.
        center, scale: whether there are beta and gamma.
        synchronized: where several processes train together, take the statistics of the whole batch; without it each takes
            those of its part, and the moving ones become the means over all. On the jax backend they are those of the whole
            batch in any case.
        renorm: correct the batch's statistics towards moving ones, for small batches (Ioffe, 2017), with `renorm_momentum`.
        renorm_clipping: dict with limits "rmin", "rmax" of the scale correction and "dmax" of the shift.
        momentum: how much of the moving statistics stays at each step.
        epsilon: added to the variance.
        renorm_momentum: the same for the statistics of `renorm`.

    A mask leaves steps out of the statistics.
    """

    supports_masking = True

    def __init__(
        self,
        axis: Axis = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.renorm, self.renorm_momentum = renorm, within(self, 0, 1, renorm_momentum=renorm_momentum)
        self.renorm_clipping = _checked_clipping(renorm_clipping or {}) if renorm else renorm_clipping
        (self.axis,) = axes_of(axis)
        self.momentum = float(within(self, 0, 1, momentum=momentum))
        self.epsilon = float(within(self, 0, math.inf, epsilon=epsilon))
        self.center, self.scale, self.synchronized = center, scale, synchronized

    def build(self, input_shape: Any) -> None:
        require_axes(self, self.axis, input_shape)
        size = input_shape[self.axis]
        if size is None:
            raise ValueError(
                f"BatchNormalization {self.path!r}: axis {self.axis} must have a known size, but the shape is {input_shape}."
            )
        shape = (size,)
        self.gamma = self._make_weight("gamma", shape) if self.scale else None
        self.beta = self._make_weight("beta", shape) if self.center else None
        self.moving_mean = self._make_weight("moving_mean", shape)
        self.moving_variance = self._make_weight("moving_variance", shape)
        if self.renorm:
            self._build_renorm(shape)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def _build_renorm(self, shape):
        def stddev(shape, dtype: DType | None = None):
            return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

        self.moving_stddev = self._make_weight("moving_variance", shape, initializer=stddev, name="moving_stddev")
        self.renorm_mean = self._make_weight("moving_mean", shape, name="renorm_mean")
        self.renorm_stddev = self._make_weight("moving_variance", shape, initializer=stddev, name="renorm_stddev")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        axis = self.axis % inputs.ndim
        uses_batch = training and self.trainable and 0 not in inputs.shape  # no samples have no statistics
        wide = result_type(inputs.dtype, "float32")
        if uses_batch and mask is None and not self.renorm and not self._over_all_ranks:
            x = inputs if is_float(inputs.dtype) else ops.cast(inputs, wide)
            return ops.cast(self._fused(x, axis, wide), self.compute_dtype)
        x = ops.cast(inputs, wide)
        if uses_batch:
            y = self._with_batch_statistics(x, axis, mask)
        else:
            y = self._normalized(x, self.moving_mean, self.moving_variance, axis, self.beta, self.gamma)
        return ops.cast(y, self.compute_dtype)

    @property
    def _over_all_ranks(self):
        """Whether statistics are to be those of several processes."""
        return self.synchronized and in_step() is not None

    def _normalized(self, x, mean, variance, axis, offset, scale: bool):
        return ops.batch_normalization(x, mean, variance, axis, offset=offset, scale=scale, epsilon=self.epsilon)

    def _fused(self, x, axis, wide):
        """By one op, which computes half floats in float32 (`wide`)."""
        scale, offset = (None if p is None else ops.cast(p, wide) for p in (self.gamma, self.beta))
        axes = tuple(a for a in range(x.ndim) if a != axis)
        y, mean, variance = fused.batch_norm(x, scale, offset, axes=axes, epsilon=self.epsilon)
        self._move_statistics(mean, variance)
        return y

    def _with_batch_statistics(self, x, axis, mask):
        axes = tuple(a for a in range(x.ndim) if a != axis)
        mean, variance = self._moments(x, axes, mask)
        if self.renorm:
            return self._normalized(x, mean, variance, axis, *self._renormed(mean, variance))
        self._move_statistics(mean, variance)
        return self._normalized(x, mean, variance, axis, self.beta, self.gamma)

    def _move_statistics(self, mean, variance):
        _move(self.moving_mean, mean, self.momentum)
        _move(self.moving_variance, variance, self.momentum)

    def _renormed(self, mean, variance):
        """Offset and scale that include the corrections d and r; the moving statistics move on."""
        limits = self.renorm_clipping
        mean, stddev = ops.stop_gradient(mean), ops.stop_gradient(ops.sqrt(variance + self.epsilon))
        reference = ops.maximum(self.renorm_stddev, self.epsilon**0.5)
        r, d = stddev / reference, (mean - self.renorm_mean) / reference
        r = r if limits.get("rmin") is None else ops.maximum(r, limits["rmin"])
        r = r if limits.get("rmax") is None else ops.minimum(r, limits["rmax"])
        d = d if limits.get("dmax") is None else ops.clip(d, -limits["dmax"], limits["dmax"])
        for moving, now, momentum in (
            (self.renorm_mean, mean, self.renorm_momentum),
            (self.renorm_stddev, stddev, self.renorm_momentum),
            (self.moving_mean, mean, self.momentum),
            (self.moving_stddev, stddev, self.momentum),
        ):
            _move(moving, now, momentum)
        self.moving_variance.assign(ops.relu(ops.square(self.moving_stddev) - self.epsilon))
        scale, offset = (r, d) if self.gamma is None else (r * self.gamma, d * self.gamma)
        return offset if self.beta is None else offset + self.beta, scale

    def _moments(self, x, axes: Axes, mask):
        if mask is not None and mask.ndim != x.ndim - 1:
            raise ValueError(
                f"BatchNormalization: the mask must have one axis less than the inputs; shapes: {mask.shape} and {x.shape}."
            )
        whole = in_step().batch_mean if self._over_all_ranks else lambda mean: mean
        if mask is None and not self._over_all_ranks:
            return ops.moments(x, axes=axes)
        if mask is None:
            mean = whole(ops.mean(x, axis=axes, keepdims=True))
            variance = whole(ops.mean(ops.square(x - mean), axis=axes, keepdims=True))
            return ops.squeeze(mean, axes), ops.squeeze(variance, axes)
        weight = ops.broadcast_to(ops.expand_dims(ops.cast(mask, x.dtype), -1), x.shape)
        x = ops.where(weight == 0, 0, x)  # NaN may stand where nothing counts
        if self._over_all_ranks:
            weight = weight / x.shape[0]  # sums become means over samples
        count = whole(ops.sum(weight, axis=axes, keepdims=True)) + 1e-7
        mean = whole(ops.sum(x * weight, axis=axes, keepdims=True)) / count
        variance = whole(ops.sum(weight * ops.square(x - mean), axis=axes, keepdims=True)) / count
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)


def _move(average, value: Structure, momentum):
    """Update a moving average."""
    average.assign(ops.cast(average, value.dtype) * momentum + ops.stop_gradient(value) * (1.0 - momentum))


def _checked_clipping(limits):
    known = ("rmax", "rmin", "dmax")
    if set(limits) - set(known):
        raise ValueError(f"BatchNormalization: `renorm_clipping` takes the keys {known}, but got {limits}.")
    rmin, rmax, dmax = limits.get("rmin"), limits.get("rmax"), limits.get("dmax")
    if (None not in (rmin, rmax) and rmax < rmin) or (dmax is not None and dmax < 0):
        raise ValueError(f"BatchNormalization: `renorm_clipping` needs rmin <= rmax and dmax >= 0, but got {limits}.")
    return limits
