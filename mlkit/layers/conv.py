"""Convolution layers with one kernel: Conv1D, Conv2D, Conv3D."""

from typing import Any

from mlkit import activations, ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Identifier, IntOrSequence
from mlkit.layers.argument_checks import as_tuple, layout, padding_name, positive
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.lora import LowRankLayer
from mlkit.layers.weights import weights


class BaseConv(Layer):
    """What convolutions of all kinds share. Subclasses fix the number of spatial axes (`rank`).

    Args:
        filters: output channels.
        kernel_size, strides, dilation_rate: an int or one per spatial axis.
        padding: "valid" (none), "same" (output size = input size / stride, rounded up), for Conv1D also "causal".
        data_format: "channels_last" (batch, *spatial, channels) or "channels_first".
    """

    rank = None
    paddings = ("valid", "same")
    dilates_strides = False  # whether strides and dilation may both be above 1, as in Keras
    _omitted_when_none = ()

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: IntOrSequence = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        n = self.rank
        self.filters, self.use_bias = positive(self, filters=filters), use_bias
        self.kernel_size = as_tuple(kernel_size, n, "kernel_size")
        self.strides = as_tuple(strides, n, "strides")
        self.dilation_rate = as_tuple(dilation_rate, n, "dilation_rate")
        self.padding = padding_name(padding, self.paddings)
        self.data_format = layout(data_format)
        self.activation = activations.get(activation)
        if not self.dilates_strides and max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__}: strides {self.strides} and dilation {self.dilation_rate} cannot both be above 1."
            )
        self.input_spec = InputSpec(ndim=n + 2)

    @property
    def channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def input_channels(self, input_shape: Any) -> int:
        """The size of the channel axis, which must be known."""
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: the number of channels must be known, but the input shape is "
                f"{input_shape}."
            )
        return channels

    def add_bias(self) -> None:
        """The bias weight, or None."""
        return self._make_weight("bias", (self.filters,)) if self.use_bias else None

    def finish(self, x: Tensor) -> Tensor:
        """Bias and activation."""
        if self.bias is not None:
            shape = (-1,) if self.data_format == "channels_last" else (-1, *(1,) * self.rank)
            x = ops.add(x, self.bias if len(shape) == 1 else ops.reshape(self.bias, shape))
        return self.activation(x)


@weights(kernel="glorot_uniform", bias="zeros", activity_regularizer=True)
class Conv(LowRankLayer, BaseConv):
    """A convolution with one kernel.

    Args:
        groups: input and output channels are split into that many independent groups.
        lora_rank, lora_alpha: train a low-rank correction of the kernel, see `enable_lora`.

    The other arguments are those of all convolutions.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: IntOrSequence = 1,
        groups: int = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, **kwargs)
        self.groups = positive(self, groups=groups)
        if filters % groups:
            raise ValueError(f"{type(self).__name__}: `filters` ({filters}) must be a multiple of `groups` ({groups}).")

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: {channels} input channels do not divide into {self.groups} groups."
            )
        self._kernel = self._make_weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self.add_bias()
        self.input_spec = InputSpec(min_ndim=self.rank + 2, max_ndim=self.rank + 2, axes={self.channel_axis: channels})
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution alone, without bias and activation. Subclasses may override it, say to change the kernel first."""
        return ops.conv(
            inputs,
            kernel,
            strides=self.strides,
            padding="valid" if self.padding == "causal" else self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def call(self, inputs: Any) -> Any:
        return self.finish(self.convolution_op(inputs, self.kernel))


class Conv1D(Conv):
    """Convolution over sequences: (batch, steps, channels) -> (batch, new_steps, filters)."""

    rank = 1
    paddings = ("valid", "same", "causal")

    def call(self, inputs: Any) -> Any:
        if self.padding == "causal":
            left = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            margins = [[0, 0], [left, 0], [0, 0]] if self.data_format == "channels_last" else [[0, 0], [0, 0], [left, 0]]
            inputs = ops.pad(inputs, margins)
        return super().call(inputs)


class Conv2D(Conv):
    """Convolution over images: (batch, height, width, channels) -> (batch, new_height, new_width, filters).

    >>> import mlkit
    >>> mlkit.layers.Conv2D(8, 3, padding="same")(mlkit.ops.ones((1, 6, 6, 3))).shape
    (1, 6, 6, 8)
    """

    rank = 2


class Conv3D(Conv):
    """Convolution over volumes: (batch, depth, height, width, channels) -> (batch, ..., filters)."""

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
