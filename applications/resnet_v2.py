"""ResNet V2: residual blocks that normalize first (He et al., 2016)."""

import functools

from mlkit import layers
from mlkit.applications.classifier import Architecture, constructor
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.applications.resnet import norm_relu, resnet_files, stem

__all__ = ["ResNet101V2", "ResNet152V2", "ResNet50V2", "decode_predictions", "preprocess_input"]


def _block(x, filters, stride, projects, name):
    """Normalization, then three convolutions around a shortcut; `projects`: the shortcut has a convolution."""
    ready = norm_relu(x, f"{name}_preact_bn", f"{name}_preact_relu")
    if projects:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(ready)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(ready)
    x = norm_relu(x, f"{name}_1_bn", f"{name}_1_relu")
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = norm_relu(x, f"{name}_2_bn", f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([shortcut, x])


def _features(x, depths):
    x = stem(x, norm=None)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            stride = 2 if stage < 3 and i == depth - 1 else 1  # here a stage ends with its stride
            x = _block(x, 64 * 2**stage, stride, i == 0, f"conv{stage + 2}_block{i + 1}")
    return norm_relu(x, "post_bn", "post_relu")


def _resnet_v2(name, depths, *digests):
    architecture = Architecture(functools.partial(_features, depths=depths), resnet_files(name.lower(), *digests))
    return constructor(
        __name__,
        name,
        architecture,
        "identity mappings in residual networks (He et al., 2016), https://arxiv.org/abs/1603.05027.",
    )


ResNet50V2 = _resnet_v2("ResNet50V2", (3, 4, 6, 3), "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917")
ResNet101V2 = _resnet_v2("ResNet101V2", (3, 4, 23, 3), "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5")
ResNet152V2 = _resnet_v2("ResNet152V2", (3, 8, 36, 3), "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33")

preprocess_input = preprocessing("tf")
