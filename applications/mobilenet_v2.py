"""MobileNet V2: inverted residual blocks with linear bottlenecks (Sandler et al., 2018)."""

import functools
import re

from mlkit import layers
from mlkit.applications.blocks import batch_norm, channel_axis, divisible, pad_for_stride_2
from mlkit.applications.classifier import Architecture, dense_top, keras_files
from mlkit.applications.image_input import trained_size
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.core.typing import FloatOrSequence, Identifier

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

_SIZES = (96, 128, 160, 192, 224)  # weights are published for these
_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)  # and these
_STAGES = (  # channels, blocks, stride of the first block, factor by which a block widens
    (16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6), (96, 3, 1, 6), (160, 3, 2, 6), (320, 1, 1, 6),
)  # fmt: skip


def _norm(x, name, torch, relu_name=None):
    options = {"epsilon": 1e-5, "momentum": 0.9} if torch else {"epsilon": 1e-3, "momentum": 0.999}
    x = batch_norm(x, name, **options)
    return x if relu_name is None else layers.ReLU(6.0, name=relu_name)(x)


def _block(x, filters, stride, widening, name, torch):
    """1x1 convolution to more channels, depthwise 3x3, 1x1 to few channels; around it a shortcut where shapes allow."""
    channels, shortcut = x.shape[channel_axis()], x
    if widening > 1:
        x = layers.Conv2D(widening * channels, 1, padding="same", use_bias=False, name=f"{name}_expand")(x)
        x = _norm(x, f"{name}_expand_BN", torch, f"{name}_expand_relu")
    if stride == 2:
        x = pad_for_stride_2(x, 3, f"{name}_pad", symmetric=torch)
    padding = "same" if stride == 1 else "valid"
    x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False, padding=padding, name=f"{name}_depthwise")(x)
    x = _norm(x, f"{name}_depthwise_BN", torch, f"{name}_depthwise_relu")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _norm(x, f"{name}_project_BN", torch)
    return layers.Add(name=f"{name}_add")([shortcut, x]) if channels == filters and stride == 1 else x


def _features(x, alpha, torch=False):
    if torch:
        x = pad_for_stride_2(x, 3, "Conv1_pad", symmetric=True)
    padding = "valid" if torch else "same"
    x = layers.Conv2D(divisible(32 * alpha), 3, strides=2, padding=padding, use_bias=False, name="Conv1")(x)
    x = _norm(x, "bn_Conv1", torch, "Conv1_relu")
    number = 0
    for channels, depth, stride, widening in _STAGES:
        for i in range(depth):
            name = f"block_{number}" if number else "expanded_conv"
            x = _block(x, divisible(int(channels * alpha)), stride if i == 0 else 1, widening, name, torch)
            number += 1
    # the paper leaves the last width alone, unless it grows
    x = layers.Conv2D(divisible(1280 * alpha) if alpha > 1 else 1280, 1, use_bias=False, name="Conv_1")(x)
    return _norm(x, "Conv_1_bn", torch, "out_relu")


def _parts_of(layer):
    """(number of the block, part, whether it is the normalization after it) of a layer within a block, or None."""
    found = re.fullmatch(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?", layer)
    return found and (int(found[1] or 0), found[2], found[3] is not None)


def _torchvision_name(layer):
    """The module of torchvision's MobileNetV2 that a layer stands for."""
    if (parts := _parts_of(layer)) is None:
        return {
            "Conv1": "features.0.0", "bn_Conv1": "features.0.1", "Conv_1": "features.18.0", "Conv_1_bn": "features.18.1",
            "predictions": "classifier.1",
        }[layer]  # fmt: skip
    number, part, is_norm = parts
    steps = ["expand", "depthwise", "project"][number == 0 :]  # the first block does not widen
    step = steps.index(part)
    module = f"{step + is_norm}" if part == "project" else f"{step}.{int(is_norm)}"
    return f"features.{number + 1}.conv.{module}"


def _timm_name(layer):
    """The module of timm's MobileNetV2 that a layer stands for."""
    if (parts := _parts_of(layer)) is None:
        return {
            "Conv1": "conv_stem", "bn_Conv1": "bn1", "Conv_1": "conv_head", "Conv_1_bn": "bn2", "predictions": "classifier",
        }[layer]  # fmt: skip
    number, part, is_norm = parts
    places = [(stage, i) for stage, (_, depth, _, _) in enumerate(_STAGES) for i in range(depth)]
    modules = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
    if number > 0:
        modules = {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
    stage, i = places[number]
    return f"blocks.{stage}.{i}.{modules[part][is_norm]}"


def _files(alpha, rows):
    if alpha not in _WIDTHS:
        return {}
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    return keras_files("mobilenet_v2", f"{name}.h5", f"{name}_no_top.h5", (None, None))


def MobileNetV2(
    input_shape=None,
    alpha: FloatOrSequence = 1.0,
    include_top: bool = True,
    weights: str | None = "imagenet",
    input_tensor=None,
    pooling=None,
    classes: int = 1000,
    classifier_activation: Identifier = "softmax",
    name: str | None = None,
):
    """The image classifier MobileNetV2: inverted residuals (Sandler et al., 2018), https://arxiv.org/abs/1801.04381.

    Args:
        alpha: factor on the number of channels; ImageNet weights exist for 0.35, 0.5, 0.75, 1, 1.3 and 1.4, at image sizes 96,
            128, 160, 192 and 224.

    The other arguments, returns and errors are those of `ResNet50`.

    >>> MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, weights=None, classes=10).output_shape
    (None, 10)
    """
    size, rows = trained_size(input_shape, input_tensor, include_top, weights == "imagenet", _SIZES)
    architecture = Architecture(
        functools.partial(_features, alpha=alpha),
        _files(alpha, rows),
        size,
        top=dense_top(None),
        pooled_names=(None, None),
        options=lambda source: {"torch": source.is_torch},
        torch_names={"torchvision": _torchvision_name, "timm": _timm_name},
    )
    return architecture.build(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name=name or f"mobilenetv2_{alpha:0.2f}_{rows}",
    )  # fmt: skip


preprocess_input = preprocessing("tf")
