"""Normalization of single samples: by layer, group, root mean square, unit length."""

import math
from typing import Any

from mlkit import ops
from mlkit.core.dtypes import HALF, single_of
from mlkit.core.typing import Axis
from mlkit.layers.activation import Pointwise
from mlkit.layers.argument_checks import axes_of, positive, require_axes, within
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.weights import Weight, weights
from mlkit.primitives import fused


@weights(beta=Weight("zeros", autocast=False), gamma=Weight("ones", autocast=False))
class LayerNormalization(Layer):
    """Each sample shifted and scaled to mean 0 and variance 1 along `axis`, then by learned `gamma` and `beta` (Ba et al.,
    2016).

    rms_scaling: scale by the deviation without shifting; kept for old models.

    Args:
        axis: an axis or several, over which mean and variance are taken.
        epsilon: added to the variance.
        center, scale: whether there are beta and gamma.
    """

    supports_masking = True

    def __init__(self, axis: Axis = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs: Any):
        self.rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        if not isinstance(axis, (int, list, tuple)):
            raise TypeError(f"LayerNormalization: `axis` must be an int or a list of ints, but got {axis!r}.")
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon, self.center, self.scale = within(self, 0, math.inf, epsilon=epsilon), center, scale

    def build(self, input_shape: Any) -> None:
        require_axes(self, self.axis, input_shape)
        self.axis = sorted(axes_of(self.axis))
        shape = tuple(input_shape[a] for a in self.axis)
        self.gamma = self._make_weight("gamma", shape) if self.scale or self.rms_scaling else None
        self.beta = self._make_weight("beta", shape) if self.center and not self.rms_scaling else None

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, single_of(inputs.dtype))
        y = ops.layer_normalization(x, self.gamma, self.beta, self.axis, self.epsilon, rms_scaling=self.rms_scaling)
        return ops.cast(y, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms_scaling": self.rms_scaling}


class RMSNormalization(Layer):
    """Each sample divided by its root mean square along `axis` and scaled by a learned `scale` (Zhang and Sennrich, 2019).

    Args:
        axis: an axis or several, over which the mean square is taken.
        epsilon: added to it.
    """

    def __init__(self, axis: Axis = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        axes_of(axis)
        self.axis, self.epsilon = axis, within(self, 0, math.inf, epsilon=epsilon)

    def build(self, input_shape: Any) -> None:
        require_axes(self, self.axis, input_shape)
        self.axis = sorted(axes_of(self.axis))
        self.scale = self.add_weight(tuple(input_shape[a] for a in self.axis), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return ops.rms_normalization(inputs, scale=self.scale, axis=self.axis, epsilon=self.epsilon)


class UnitNormalization(Pointwise):
    """Each sample scaled to length 1 along `axis`.

    Args:
        axis: an axis or several, along which the length becomes 1.
    """

    def __init__(self, axis: Axis = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axis, (int, list, tuple)):
            raise TypeError(f"UnitNormalization: `axis` must be an int or a list of ints, but got {axis!r}.")
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis

    def call(self, inputs: Any) -> Any:
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        x = ops.cast(inputs, single_of(inputs.dtype))
        square = ops.sum(ops.square(x), axis=axis, keepdims=True)
        return ops.cast(x * ops.rsqrt(ops.maximum(square, 1e-12)), self.compute_dtype)


@weights(beta="zeros", gamma="ones")
class GroupNormalization(Layer):
    """Channels in `groups`, each normalized over its channels and all positions of a sample (Wu and He, 2018). -1: one channel
    a group.

    Args:
        groups: number of groups; -1: one channel each.
        axis: the axis of channels.
        epsilon: added to the variance.
        center, scale: whether there are beta and gamma.
    """

    supports_masking = True

    def __init__(
        self, groups: int = 32, axis: Axis = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.groups = groups if groups == -1 else positive(self, groups=groups)
        (self.axis,) = axes_of(axis)
        self.epsilon, self.center, self.scale = within(self, 0, math.inf, epsilon=epsilon), center, scale

    def build(self, input_shape: Any) -> None:
        require_axes(self, self.axis, input_shape)
        size = input_shape[self.axis]
        if size is None:
            raise ValueError(
                f"GroupNormalization {self.path!r}: axis {self.axis} must have a known size, but the shape is {input_shape}."
            )
        if self.groups == -1:
            self.groups = size
        if size % self.groups:
            raise ValueError(f"GroupNormalization {self.path!r}: {size} channels do not divide into {self.groups} groups.")
        self.gamma = self._make_weight("gamma", (size,)) if self.scale else None
        self.beta = self._make_weight("beta", (size,)) if self.center else None
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any) -> Any:
        axis = self.axis % inputs.ndim
        x = (
            inputs if inputs.dtype in HALF else ops.cast(inputs, single_of(inputs.dtype))
        )  # halves are computed in float32 there
        x = ops.moveaxis(x, axis, -1)
        gamma, beta = (None if v is None else ops.cast(v, single_of(x.dtype)) for v in (self.gamma, self.beta))
        y = fused.group_norm(x, gamma, beta, groups=self.groups, epsilon=self.epsilon)[0]
        return ops.cast(ops.moveaxis(y, -1, axis), self.compute_dtype)
