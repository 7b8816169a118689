"""ResNet: deep networks of residual blocks (He et al., 2016), and what ResNet V2 shares with it."""

import functools
import re

from mlkit import layers
from mlkit.applications.blocks import batch_norm
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["ResNet101", "ResNet152", "ResNet50", "decode_predictions", "preprocess_input"]

_EPSILON = 1.001e-5  # as the published weights were trained


def norm_relu(x, norm_name, relu_name, epsilon=_EPSILON):
    """Batch normalization, then ReLU."""
    return layers.Activation("relu", name=relu_name)(batch_norm(x, norm_name, epsilon=epsilon))


def stem(x, use_bias: bool = True, norm=norm_relu):
    """Images to 64 channels at a quarter of the size. norm: what follows the convolution; None: nothing."""
    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, use_bias=use_bias, name="conv1_conv")(x)
    if norm is not None:
        x = norm(x, "conv1_bn", "conv1_relu")
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def _block(x, filters, stride, projects, name, torch):
    """Three convolutions (1x1, 3x3, 1x1) around a shortcut.

    projects: whether the shortcut has a convolution. torch: as torchvision has it ("V1.5"): the stride is in the 3x3
    convolution, no biases, another epsilon.
    """
    epsilon = 1e-5 if torch else _EPSILON
    conv = functools.partial(layers.Conv2D, use_bias=not torch)
    shortcut = x
    if projects:
        shortcut = conv(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = batch_norm(shortcut, f"{name}_0_bn", epsilon=epsilon)
    x = conv(filters, 1, strides=1 if torch else stride, name=f"{name}_1_conv")(x)
    x = norm_relu(x, f"{name}_1_bn", f"{name}_1_relu", epsilon)
    if torch and stride > 1:
        x = layers.ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
        x = conv(filters, 3, strides=stride, name=f"{name}_2_conv")(x)
    else:
        x = conv(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = norm_relu(x, f"{name}_2_bn", f"{name}_2_relu", epsilon)
    x = conv(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = batch_norm(x, f"{name}_3_bn", epsilon=epsilon)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _features(x, depths, torch=False):
    x = stem(x, use_bias=not torch, norm=functools.partial(norm_relu, epsilon=1e-5) if torch else norm_relu)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            stride = 2 if stage > 0 and i == 0 else 1
            x = _block(x, 64 * 2**stage, stride, i == 0, f"conv{stage + 2}_block{i + 1}", torch)
    return x


def resnet_files(name, *digests):
    """The published weights of a ResNet."""
    file = f"{name}_weights_tf_dim_ordering_tf_kernels"
    return keras_files("resnet", f"{file}.h5", f"{file}_notop.h5", digests)


def _torch_name(layer):
    """The module of torchvision's (and timm's) ResNet that a layer stands for."""
    parts = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer)
    if parts is None:
        return {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}[layer]
    stage, block, number, kind = parts.groups()
    module = f"downsample.{int(kind == 'bn')}" if number == "0" else f"{kind}{number}"
    return f"layer{int(stage) - 1}.{int(block) - 1}.{module}"


def _resnet(name, depths, *digests):
    architecture = Architecture(
        functools.partial(_features, depths=depths),
        resnet_files(name.lower(), *digests),
        options=lambda source: {"torch": source.is_torch},
        torch_names={"torchvision": _torch_name},
    )
    return constructor(
        __name__, name, architecture, "deep residual learning (He et al., 2016), https://arxiv.org/abs/1512.03385."
    )


ResNet50 = _resnet("ResNet50", (3, 4, 6, 3), "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626")
ResNet101 = _resnet("ResNet101", (3, 4, 23, 3), "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21")
ResNet152 = _resnet("ResNet152", (3, 8, 36, 3), "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c")

preprocess_input = preprocessing("caffe")
