"""EfficientNet V2: smaller, faster EfficientNets with fused first blocks (Tan and Le, 2021)."""

import functools
import math

from mlkit import initializers, layers
from mlkit.applications import efficientnet
from mlkit.applications.blocks import channel_axis, divisible
from mlkit.applications.classifier import Architecture, constructor, dense_top, keras_files
from mlkit.applications.efficientnet import DENSE_INITIALIZER, add_shortcut, stages
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = [
    *(f"EfficientNetV2{kind}" for kind in ("B0", "B1", "B2", "B3", "L", "M", "S")),
    "decode_predictions",
    "preprocess_input",
]

# blocks, channels, widening, stride of the first block, whether the first two convolutions are fused into one
_B = (
    (1, 16, 1, 1, True),
    (2, 32, 4, 2, True),
    (2, 48, 4, 2, True),
    (3, 96, 4, 2, False),
    (5, 112, 6, 1, False),
    (8, 192, 6, 2, False),
)
_S = (
    (2, 24, 1, 1, True),
    (4, 48, 4, 2, True),
    (4, 64, 4, 2, True),
    (6, 128, 4, 2, False),
    (9, 160, 6, 1, False),
    (15, 256, 6, 2, False),
)
_M = (
    (3, 24, 1, 1, True), (5, 48, 4, 2, True), (5, 80, 4, 2, True), (7, 160, 4, 2, False), (14, 176, 6, 1, False),
    (18, 304, 6, 2, False), (5, 512, 6, 1, False),
)  # fmt: skip
_L = (
    (4, 32, 1, 1, True), (7, 64, 4, 2, True), (7, 96, 4, 2, True), (10, 192, 4, 2, False), (19, 224, 6, 1, False),
    (25, 384, 6, 2, False), (7, 640, 6, 1, False),
)  # fmt: skip
_MOMENTUM = 0.9
_conv_norm = functools.partial(efficientnet.conv_norm, momentum=_MOMENTUM)


def _fused_block(x, filters, stride, widening, drop_rate, name):
    """A 3x3 convolution to more channels, a 1x1 convolution back; without widening the 3x3 convolution alone."""
    channels, shortcut = x.shape[channel_axis()], x
    names = lambda part: [f"{name}{part}_{kind}" for kind in ("conv", "bn", "activation")]
    if widening == 1:
        x = _conv_norm(x, filters, 3, *names("project"), strides=stride)
    else:
        x = _conv_norm(x, channels * widening, 3, *names("expand"), strides=stride)
        x = _conv_norm(x, filters, 1, *names("project")[:2])
    return add_shortcut(x, shortcut, drop_rate, name) if stride == 1 and channels == filters else x


def _block(x, stride, drop_rate, name, filters, widening, fused):
    if fused:
        return _fused_block(x, filters, stride, widening, drop_rate, name)
    return efficientnet.block(
        x, filters, 3, stride, widening, drop_rate, name, momentum=_MOMENTUM, depthwise_name="dwconv2", pads=False
    )


def _scaled_pixels(x, like_b):
    if like_b and x.shape[channel_axis()] == 3:
        x = layers.Rescaling(scale=1.0 / 255)(x)
        variance = [0.229**2, 0.224**2, 0.225**2]
        return layers.Normalization(mean=[0.485, 0.456, 0.406], variance=variance, axis=channel_axis())(x)
    return layers.Rescaling(scale=1.0 / 128.0, offset=-1)(x)


def _features(x, table, width, depth, like_b, include_preprocessing):
    rounded = lambda channels: divisible(channels * width, at_least_90_percent=False)
    if include_preprocessing:
        x = _scaled_pixels(x, like_b)
    stem = 32 if like_b else table[0][1]
    x = _conv_norm(x, rounded(stem), 3, "stem_conv", "stem_bn", "stem_activation", strides=2)
    scaled = [(math.ceil(n * depth), stride, (rounded(c), widening, fused)) for n, c, widening, stride, fused in table]
    x = stages(x, scaled, _block, total=sum(n for n, *_ in table))  # that of the network that was scaled
    return _conv_norm(x, rounded(1280), 1, "top_conv", "top_bn", "top_activation")


_ABOUT = "smaller models, faster training (Tan and Le, 2021), https://arxiv.org/abs/2104.00298."
_OWN = "include_preprocessing: whether the model itself scales pixels from 0 to 255; else it takes them scaled.\n"


def _efficientnet_v2(kind, table, width, depth, size, *digests):
    name = f"efficientnetv2-{kind.lower()}"

    def architecture(include_preprocessing):
        return Architecture(
            functools.partial(
                _features,
                table=table,
                width=width,
                depth=depth,
                like_b=table is _B,
                include_preprocessing=include_preprocessing,
            ),
            keras_files("efficientnet_v2", f"{name}.h5", f"{name}_notop.h5", digests),
            size,
            top=dense_top(dropout=0.2, kernel_initializer=DENSE_INITIALIZER, bias_initializer=_zeros()),
        )

    arguments = {
        "include_top": True, "weights": "imagenet", "input_tensor": None, "input_shape": None, "pooling": None, "classes": 1000,
        "classifier_activation": "softmax", "include_preprocessing": True,
    }  # fmt: skip
    return constructor(__name__, f"EfficientNetV2{kind}", architecture, _ABOUT, name, arguments, _OWN)


def _zeros():
    return initializers.Constant(0.0)


EfficientNetV2B0 = _efficientnet_v2(
    "B0", _B, 1.0, 1.0, 224, "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"
)
EfficientNetV2B1 = _efficientnet_v2(
    "B1", _B, 1.0, 1.1, 240, "069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"
)
EfficientNetV2B2 = _efficientnet_v2(
    "B2", _B, 1.1, 1.2, 260, "424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"
)
EfficientNetV2B3 = _efficientnet_v2(
    "B3", _B, 1.2, 1.4, 300, "1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"
)
EfficientNetV2S = _efficientnet_v2(
    "S", _S, 1.0, 1.0, 384, "e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"
)
EfficientNetV2M = _efficientnet_v2(
    "M", _M, 1.0, 1.0, 480, "a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"
)
EfficientNetV2L = _efficientnet_v2(
    "L", _L, 1.0, 1.0, 480, "27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"
)

preprocess_input = preprocessing(None)
