"""MobileNet: depthwise separable convolutions for small devices (Howard et al., 2017)."""

import functools

from mlkit import layers
from mlkit.applications.blocks import batch_norm
from mlkit.applications.classifier import Architecture, keras_files
from mlkit.applications.image_input import trained_size
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.core.typing import FloatOrSequence, Identifier

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

_SIZES = (128, 160, 192, 224)  # weights are published for these
_WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}  # and these, as their files spell them
_BLOCKS = (  # channels and stride
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2),
    (1024, 1),
)  # fmt: skip


def _norm_relu(x, name):
    return layers.ReLU(6.0, name=f"{name}_relu")(batch_norm(x, f"{name}_bn"))


def _block(x, filters, stride, multiplier, number):
    """A depthwise 3x3 convolution, then a 1x1 convolution."""
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        depth_multiplier=multiplier,
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _norm_relu(x, f"conv_dw_{number}")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")(x)
    return _norm_relu(x, f"conv_pw_{number}")


def _features(x, alpha, multiplier):
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = _norm_relu(x, "conv1")
    for number, (filters, stride) in enumerate(_BLOCKS, 1):
        x = _block(x, int(filters * alpha), stride, multiplier, number)
    return x


def _top(x, classes, activation, dropout):
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((classes,), name="reshape_2")(x)
    return layers.Activation(activation, name="predictions")(x)


def _files(alpha, multiplier, rows):
    if alpha not in _WIDTHS or multiplier != 1:
        return {}
    name = f"mobilenet_{_WIDTHS[alpha]}_{rows}_tf"
    return keras_files("mobilenet", f"{name}.h5", f"{name}_no_top.h5", (None, None))


def MobileNet(
    input_shape=None,
    alpha: FloatOrSequence = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: str | None = "imagenet",
    input_tensor=None,
    pooling=None,
    classes: int = 1000,
    classifier_activation: Identifier = "softmax",
    name: str | None = None,
):
    """The image classifier MobileNet: depthwise convolutions (Howard et al., 2017), https://arxiv.org/abs/1704.04861.

    Args:
        alpha: factor on the number of channels.
        depth_multiplier: filters for each channel of a depthwise convolution.
        dropout: rate before the last layer.

    ImageNet weights exist for alpha 0.25, 0.5, 0.75 and 1 with depth_multiplier 1, at image sizes 128, 160, 192 and 224. The
    other arguments, returns and errors are those of `ResNet50`.

    >>> MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=10).output_shape
    (None, 10)
    """
    size, rows = trained_size(input_shape, input_tensor, include_top, weights == "imagenet", _SIZES)
    architecture = Architecture(
        functools.partial(_features, alpha=alpha, multiplier=depth_multiplier),
        _files(alpha, depth_multiplier, rows),
        size,
        top=functools.partial(_top, dropout=dropout),
        pooled_names=(None, None),
    )
    return architecture.build(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name=name or f"mobilenet_{alpha:0.2f}_{rows}",
    )  # fmt: skip


preprocess_input = preprocessing("tf")
