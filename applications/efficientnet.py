"""EfficientNet: one searched network, scaled in width, depth and image size (Tan and Le, 2019)."""

import functools
import math

from mlkit import layers
from mlkit.applications.blocks import batch_norm, channel_axis, divisible, pad_for_stride_2, squeeze_excite
from mlkit.applications.classifier import Architecture, constructor, dense_top, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.core.typing import Identifier, IntOrSequence

__all__ = [*(f"EfficientNetB{i}" for i in range(8)), "decode_predictions", "preprocess_input"]

# kernel, blocks, channels, widening, stride of the first block
STAGES = (
    (3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1), (5, 4, 192, 6, 2), (3, 1, 320, 6, 1),
)  # fmt: skip
_ADDRESS = "https://storage.googleapis.com/keras-applications/"
_DEVIATION = (0.229, 0.224, 0.225)


def _variance_scaling(scale, distribution):
    config = {"scale": scale, "mode": "fan_out", "distribution": distribution}
    return {"class_name": "VarianceScaling", "config": config}  # not an object: each layer is to draw its own numbers


CONV_INITIALIZER = _variance_scaling(2.0, "truncated_normal")
DENSE_INITIALIZER = _variance_scaling(1.0 / 3.0, "uniform")


def conv_norm(
    x,
    filters,
    kernel_size,
    conv_name,
    norm_name,
    activation_name=None,
    activation: Identifier = "swish",
    strides: IntOrSequence = 1,
    momentum: float = 0.99,
):
    """A convolution without bias, batch normalization and, if it is named, an activation."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=CONV_INITIALIZER,
        name=conv_name,
    )(x)
    x = batch_norm(x, norm_name, momentum=momentum)
    return x if activation_name is None else layers.Activation(activation, name=activation_name)(x)


def add_shortcut(x, shortcut, drop_rate, name):
    """The sum of both; in training x is left out of whole images at `drop_rate` (stochastic depth)."""
    if drop_rate > 0:
        x = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return layers.add([x, shortcut], name=f"{name}add")


def block(
    x, filters, kernel, stride, widening, drop_rate, name,
    excite: bool = True, activation: Identifier = "swish", momentum: float = 0.99, depthwise_name: str = "dwconv", pads: bool = True,
):  # fmt: skip
    """An inverted residual block: 1x1 convolution to more channels, depthwise convolution, squeeze and excite, 1x1 convolution.

    drop_rate: how often training leaves the block out. pads: whether a stride of 2 has a layer for its padding.
    """
    channels, shortcut = x.shape[channel_axis()], x
    style = {"activation": activation, "momentum": momentum}
    if widening != 1:
        names = [f"{name}expand_{part}" for part in ("conv", "bn", "activation")]
        x = conv_norm(x, channels * widening, 1, *names, **style)
    if pads and stride == 2:
        x = pad_for_stride_2(x, kernel, f"{name}dwconv_pad")
    x = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="valid" if pads and stride == 2 else "same",
        use_bias=False,
        depthwise_initializer=CONV_INITIALIZER,
        name=f"{name}{depthwise_name}",
    )(x)
    x = layers.Activation(activation, name=f"{name}activation")(batch_norm(x, f"{name}bn", momentum=momentum))
    if excite:
        x = squeeze_excite(x, max(1, channels // 4), activation, name, CONV_INITIALIZER)
    x = conv_norm(x, filters, 1, f"{name}project_conv", f"{name}project_bn", momentum=momentum)
    return add_shortcut(x, shortcut, drop_rate, name) if stride == 1 and channels == filters else x


def stages(x, table, make_block, total=None):
    """All blocks of a network, by a table of stages.

    table: (blocks, stride of the first, arguments of make_block) of each stage. make_block: (x, stride, drop rate, name,
    *arguments) -> x. total: number of the block that would be left out at a rate of 0.2 in training (the first never is); by default
    the one behind the last.
    """
    count, total = 0, total or sum(depth for depth, *_ in table)
    for number, (depth, stride, arguments) in enumerate(table, 1):
        for i in range(depth):
            x = make_block(x, stride if i == 0 else 1, 0.2 * count / total, f"block{number}{chr(ord('a') + i)}_", *arguments)
            count += 1
    return x


def _features(x, width, depth, published=False):
    x = layers.Rescaling(1.0 / 255.0)(x)
    x = layers.Normalization(axis=channel_axis())(x)
    if published:  # the files hold the variance where the deviation should be; this makes up for it
        x = layers.Rescaling([1.0 / math.sqrt(d) for d in _DEVIATION])(x)
    x = pad_for_stride_2(x, 3, "stem_conv_pad")
    x = layers.Conv2D(
        divisible(32 * width), 3, strides=2, use_bias=False, kernel_initializer=CONV_INITIALIZER, name="stem_conv"
    )(x)
    x = layers.Activation("swish", name="stem_activation")(batch_norm(x, "stem_bn"))
    table = [(math.ceil(n * depth), s, (divisible(c * width), k, widening)) for k, n, c, widening, s in STAGES]
    x = stages(x, table, lambda x, stride, drop, name, filters, kernel, widening: block(
        x, filters, kernel, stride, widening, drop, name
    ))  # fmt: skip
    return conv_norm(x, divisible(1280 * width), 1, "top_conv", "top_bn", "top_activation")


def _efficientnet(number, width, depth, size, dropout, *digests):
    name = f"efficientnetb{number}"
    architecture = Architecture(
        functools.partial(_features, width=width, depth=depth),
        keras_files("", f"{name}.h5", f"{name}_notop.h5", digests, _ADDRESS),
        size,
        top=dense_top(dropout=dropout, kernel_initializer=DENSE_INITIALIZER),
        options=lambda source: {"published": source.is_imagenet},
    )
    about = "compound scaling (Tan and Le, 2019), https://arxiv.org/abs/1905.11946. It takes pixels from 0 to 255."
    return constructor(__name__, f"EfficientNetB{number}", architecture, about)


EfficientNetB0 = _efficientnet(0, 1.0, 1.0, 224, 0.2, "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d")
EfficientNetB1 = _efficientnet(1, 1.0, 1.1, 240, 0.2, "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432")
EfficientNetB2 = _efficientnet(2, 1.1, 1.2, 260, 0.3, "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39")
EfficientNetB3 = _efficientnet(3, 1.2, 1.4, 300, 0.3, "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226")
EfficientNetB4 = _efficientnet(4, 1.4, 1.8, 380, 0.4, "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba")
EfficientNetB5 = _efficientnet(5, 1.6, 2.2, 456, 0.4, "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f")
EfficientNetB6 = _efficientnet(6, 1.8, 2.6, 528, 0.5, "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743")
EfficientNetB7 = _efficientnet(7, 2.0, 3.1, 600, 0.5, "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a")

preprocess_input = preprocessing(None)
