"""Small pieces that the model families share."""

from mlkit import config, layers
from mlkit.core.typing import Identifier


def channel_axis():
    """The axis of the channels of a batch of images, by the global image layout."""
    return 1 if config.image_data_format() == "channels_first" else 3


def spatial_size(x):
    """(height, width) of a batch of images, None where unknown."""
    first = 2 if config.image_data_format() == "channels_first" else 1
    return tuple(x.shape[first : first + 2])


def batch_norm(x, name: str | None = None, **options):
    """Batch normalization over the channels."""
    return layers.BatchNormalization(axis=channel_axis(), name=name, **options)(x)


def divisible(width, divisor: int = 8, at_least_90_percent: bool = True):
    """The multiple of `divisor` nearest to a number of channels, at least one divisor.

    at_least_90_percent: go one step up where rounding would lose more than a tenth, as in the MobileNet papers' code.

    >>> divisible(37), divisible(18)
    (40, 24)
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return int(rounded + divisor if at_least_90_percent and rounded < 0.9 * width else rounded)


def pad_for_stride_2(x, kernel_size, name, symmetric: bool = False):
    """Zeros around images so that a convolution without padding halves their size.

    By default an even size gets one row less before the image than after it, as TensorFlow pads. symmetric: the same on all
    sides, as PyTorch pads.
    """
    half = kernel_size // 2
    before = [half if symmetric or (size is not None and size % 2) else half - 1 for size in spatial_size(x)]
    return layers.ZeroPadding2D(tuple((b, half) for b in before), name=name)(x)


def squeeze_excite(x, reduced, activation, name, kernel_initializer: Identifier = "glorot_uniform"):
    """Channels weighted by what the whole image holds (Hu et al., 2018, https://arxiv.org/abs/1709.01507).

    x: (batch, height, width, channels). reduced: channels of the layer between. name: prefix of the layers' names.
    """
    axis = channel_axis()
    channels = x.shape[axis]
    shape = (channels, 1, 1) if axis == 1 else (1, 1, channels)
    options = {"padding": "same", "kernel_initializer": kernel_initializer}
    weight = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    weight = layers.Reshape(shape, name=f"{name}se_reshape")(weight)
    weight = layers.Conv2D(reduced, 1, activation=activation, name=f"{name}se_reduce", **options)(weight)
    weight = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}se_expand", **options)(weight)
    return layers.multiply([x, weight], name=f"{name}se_excite")
