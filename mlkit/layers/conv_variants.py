"""Convolutions built of others: transposed, depthwise, separable."""

from typing import Any

from mlkit import ops
from mlkit.core.typing import Identifier, IntOrSequence
from mlkit.layers.argument_checks import as_tuple, positive
from mlkit.layers.conv import BaseConv
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.weights import Weight, weights


@weights(kernel="glorot_uniform", bias="zeros", activity_regularizer=True)
class BaseConvTranspose(BaseConv):
    """The gradient of a convolution with respect to its input, as a layer: output positions are `strides` times the input's.

    Args:
        output_padding: extra size on one side of the output, an int or one per spatial axis; None: what the padding gives.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        output_padding: IntOrSequence | None = None,
        data_format: str | None = None,
        dilation_rate: IntOrSequence = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, **kwargs)
        self.output_padding = (
            None if output_padding is None else as_tuple(output_padding, self.rank, "output_padding", zero=True)
        )
        if self.output_padding and any(p >= s for p, s in zip(self.output_padding, self.strides)):
            raise ValueError(
                f"{type(self).__name__}: `output_padding` {self.output_padding} must be strictly less than `strides` "
                f"{self.strides}."
            )

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.kernel = self._make_weight("kernel", (*self.kernel_size, self.filters, channels))
        self.bias = self.add_bias()
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        return self.finish(
            ops.conv_transpose(
                inputs,
                self.kernel,
                strides=self.strides,
                padding=self.padding,
                output_padding=self.output_padding,
                data_format=self.data_format,
                dilation_rate=self.dilation_rate,
            )
        )


class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution of sequences."""

    rank = 1


class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution of images.

    >>> import mlkit
    >>> mlkit.layers.Conv2DTranspose(4, 3, strides=2, padding="same")(mlkit.ops.ones((1, 5, 5, 2))).shape
    (1, 10, 10, 4)
    """

    rank = 2


@weights(kernel="glorot_uniform", bias="zeros", activity_regularizer=True)
class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution of volumes."""

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: IntOrSequence | None = None,
        dilation_rate: IntOrSequence = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation, use_bias, **kwargs
        )


Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = Conv1DTranspose, Conv2DTranspose, Conv3DTranspose


@weights(depthwise=Weight("glorot_uniform", "kernel"), bias="zeros", activity_regularizer=True)
class BaseDepthwiseConv(BaseConv):
    """Each channel convolved with `depth_multiplier` kernels of its own: channels * depth_multiplier output channels."""

    dilates_strides = True

    def __init__(
        self,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: IntOrSequence = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        self.depth_multiplier = positive(self, depth_multiplier=depth_multiplier)
        super().__init__(
            depth_multiplier, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, **kwargs
        )

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.kernel = self._make_weight("depthwise", (*self.kernel_size, channels, self.depth_multiplier))
        self.filters = channels * self.depth_multiplier
        self.bias = self.add_bias()
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        return self.finish(
            ops.depthwise_conv(
                inputs,
                self.kernel,
                strides=self.strides,
                padding=self.padding,
                data_format=self.data_format,
                dilation_rate=self.dilation_rate,
            )
        )


class DepthwiseConv1D(BaseDepthwiseConv):
    """Depthwise convolution of sequences.

    Args:
        depth_multiplier: output channels for each input channel.
    """

    rank = 1


class DepthwiseConv2D(BaseDepthwiseConv):
    """Depthwise convolution of images.

    Args:
        depth_multiplier: output channels for each input channel.
    """

    rank = 2


@weights(
    depthwise=Weight("glorot_uniform", "depthwise_kernel"),
    pointwise=Weight("glorot_uniform", "pointwise_kernel"),
    bias="zeros",
    activity_regularizer=True,
)
class BaseSeparableConv(BaseConv):
    """A depthwise convolution followed by a pointwise one (Chollet, Xception, 2017)."""

    dilates_strides = True

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: IntOrSequence = 1,
        depth_multiplier: int = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, **kwargs)
        self.depth_multiplier = positive(self, depth_multiplier=depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.depthwise_kernel = self._make_weight("depthwise", (*self.kernel_size, channels, self.depth_multiplier))
        self.pointwise_kernel = self._make_weight(
            "pointwise", (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        )
        self.bias = self.add_bias()
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        return self.finish(
            ops.separable_conv(
                inputs,
                self.depthwise_kernel,
                self.pointwise_kernel,
                strides=self.strides,
                padding=self.padding,
                data_format=self.data_format,
                dilation_rate=self.dilation_rate,
            )
        )


class SeparableConv1D(BaseSeparableConv):
    """Separable convolution of sequences.

    Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017 (arXiv:1610.02357).

    Args:
        depth_multiplier: channels for each input channel between the two convolutions.
    """

    rank = 1


class SeparableConv2D(BaseSeparableConv):
    """Separable convolution of images.

    Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017 (arXiv:1610.02357).

    Args:
        depth_multiplier: channels for each input channel between the two convolutions.
    """

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
