"""MobileNet V3: searched inverted residual blocks, with squeeze-and-excite and hard swish (Howard et al., 2019)."""

import functools

from mlkit import layers
from mlkit.applications.blocks import batch_norm, channel_axis, divisible, pad_for_stride_2
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]

# widening, channels, kernel ("k": 5, or 3 if minimalistic), stride, squeeze-and-excite, hard swish
_SMALL = (
    (1, 16, 3, 2, True, False),
    (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, "k", 2, True, True),
    (6, 40, "k", 1, True, True),
    (6, 40, "k", 1, True, True),
    (3, 48, "k", 1, True, True),
    (3, 48, "k", 1, True, True),
    (6, 96, "k", 2, True, True),
    (6, 96, "k", 1, True, True),
    (6, 96, "k", 1, True, True),
)
_LARGE = (
    (1, 16, 3, 1, False, False),
    (4, 24, 3, 2, False, False),
    (3, 24, 3, 1, False, False),
    (3, 40, "k", 2, True, False),
    (3, 40, "k", 1, True, False),
    (3, 40, "k", 1, True, False),
    (6, 80, 3, 2, False, True),
    (2.5, 80, 3, 1, False, True),
    (2.3, 80, 3, 1, False, True),
    (2.3, 80, 3, 1, False, True),
    (6, 112, 3, 1, True, True),
    (6, 112, 3, 1, True, True),
    (6, 160, "k", 2, True, True),
    (6, 160, "k", 1, True, True),
    (6, 160, "k", 1, True, True),
)
_DIGESTS = {
    "large_224_0.75_float": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    "large_224_1.0_float": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    "large_minimalistic_224_1.0_float": ("675e7b876c45c57e9e63e6d90a36599c", "ec5221f64a2f6d1ef965a614bdae7973"),
    "small_224_0.75_float": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    "small_224_1.0_float": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "small_minimalistic_224_1.0_float": ("99cd97fb2fcdad2bf028eb838de69e37", "cde8136e733e811080d9fcd8a252f7e4"),
}


def _relu(x):
    return layers.ReLU()(x)


def _hard_swish(x):
    return layers.Activation("hard_swish")(x)


def _norm(x, name):
    return batch_norm(x, name, epsilon=1e-3, momentum=0.999)


def _squeeze_excite(x, name):
    channels = x.shape[channel_axis()]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(x)
    weight = layers.Conv2D(divisible(channels * 0.25), 1, padding="same", name=f"{name}_conv")(weight)
    weight = layers.ReLU(name=f"{name}_relu")(weight)
    weight = layers.Conv2D(channels, 1, padding="same", name=f"{name}_conv_1")(weight)
    weight = layers.ReLU(6.0)(weight + 3.0) * (1.0 / 6.0)  # the hard sigmoid
    return layers.Multiply(name=f"{name}_mul")([x, weight])


def _block(x, widening, filters, kernel, stride, excite, activation, name):
    channels, shortcut = x.shape[channel_axis()], x
    if name != "expanded_conv":  # the first block does not widen
        x = layers.Conv2D(divisible(channels * widening), 1, padding="same", use_bias=False, name=f"{name}_expand")(x)
        x = activation(_norm(x, f"{name}_expand_bn"))
    if stride == 2:
        x = pad_for_stride_2(x, kernel, f"{name}_depthwise_pad")
    padding = "same" if stride == 1 else "valid"
    x = layers.DepthwiseConv2D(kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}_depthwise")(x)
    x = activation(_norm(x, f"{name}_depthwise_bn"))
    if excite:
        x = _squeeze_excite(x, f"{name}_squeeze_excite")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _norm(x, f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and channels == filters else x


def _features(x, blocks, alpha, minimalistic, include_preprocessing):
    swish = _relu if minimalistic else _hard_swish
    if include_preprocessing:
        x = layers.Rescaling(scale=1.0 / 127.5, offset=-1.0)(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = swish(_norm(x, "conv_bn"))
    for i, (widening, filters, kernel, stride, excite, swishes) in enumerate(blocks):
        kernel = kernel if kernel != "k" else 3 if minimalistic else 5
        name = f"expanded_conv_{i}" if i else "expanded_conv"
        activation = swish if swishes else _relu
        x = _block(x, widening, divisible(filters * alpha), kernel, stride, excite and not minimalistic, activation, name)
    x = layers.Conv2D(divisible(x.shape[channel_axis()] * 6), 1, padding="same", use_bias=False, name="conv_1")(x)
    return swish(_norm(x, "conv_1_bn"))


def _top(x, classes, classifier_activation, width, minimalistic, dropout_rate):
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(width, 1, padding="same", name="conv_2")(x)
    x = (_relu if minimalistic else _hard_swish)(x)
    if dropout_rate > 0:
        x = layers.Dropout(dropout_rate)(x)
    x = layers.Conv2D(classes, 1, padding="same", name="logits")(x)
    x = layers.Flatten()(x)
    return layers.Activation(classifier_activation, name="predictions")(x)


def _files(kind, alpha, minimalistic):
    variant = f"{kind}{'_minimalistic' if minimalistic else ''}_224_{float(alpha)}_float"
    if variant not in _DIGESTS:
        return {}
    name = f"weights_mobilenet_v3_{variant}"
    return keras_files("mobilenet_v3", f"{name}.h5", f"{name}_no_top_v2.h5", _DIGESTS[variant])


def _architecture(
    kind: str, blocks, width: int, alpha: float, minimalistic: bool, dropout_rate: float, include_preprocessing: bool
) -> Architecture:
    width = divisible(width * alpha) if alpha > 1 else width
    return Architecture(
        functools.partial(
            _features, blocks=blocks, alpha=alpha, minimalistic=minimalistic, include_preprocessing=include_preprocessing
        ),
        _files(kind, alpha, minimalistic),
        top=functools.partial(_top, width=width, minimalistic=minimalistic, dropout_rate=dropout_rate),
        known_size=False,
    )


_ABOUT = (
    "a searched network for small devices (Howard et al., 2019), https://arxiv.org/abs/1905.02244. ImageNet weights exist for alpha "
    "0.75 and 1, minimalistic ones for 1."
)
_OWN = """\
alpha: factor on the number of channels.
minimalistic: without squeeze-and-excite, hard swish and 5x5 convolutions.
dropout_rate: before the last layer.
include_preprocessing: whether the model itself scales pixels from 0 to 255.
"""


def _mobilenet_v3(kind, blocks, width):
    arguments = {
        "input_shape": None, "alpha": 1.0, "minimalistic": False, "include_top": True, "weights": "imagenet",
        "input_tensor": None, "classes": 1000, "pooling": None, "dropout_rate": 0.2, "classifier_activation": "softmax",
        "include_preprocessing": True,
    }  # fmt: skip
    name = f"MobileNetV3{kind.capitalize()}"
    return constructor(__name__, name, functools.partial(_architecture, kind, blocks, width), _ABOUT, name, arguments, _OWN)


MobileNetV3Small = _mobilenet_v3("small", _SMALL, 1024)
MobileNetV3Large = _mobilenet_v3("large", _LARGE, 1280)

preprocess_input = preprocessing(None)
