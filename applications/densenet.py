"""DenseNet: each layer sees the outputs of all before it (Huang et al., 2017)."""

import functools

from mlkit import layers
from mlkit.applications.blocks import channel_axis
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.applications.resnet import norm_relu

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

_GROWTH = 32  # channels that a layer adds


def _block(x, name):
    new = norm_relu(x, f"{name}_0_bn", f"{name}_0_relu")
    new = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = norm_relu(new, f"{name}_1_bn", f"{name}_1_relu")
    new = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return layers.Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, new])


def _transition(x, name):
    """Half the channels, half the size."""
    x = norm_relu(x, f"{name}_bn", f"{name}_relu")
    x = layers.Conv2D(x.shape[channel_axis()] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _features(x, depths):
    x = layers.ZeroPadding2D(((3, 3), (3, 3)))(x)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
    x = norm_relu(x, "conv1_bn", "conv1_relu")
    x = layers.ZeroPadding2D(((1, 1), (1, 1)))(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, depth in enumerate(depths, 2):
        if stage > 2:
            x = _transition(x, f"pool{stage - 1}")
        for i in range(1, depth + 1):
            x = _block(x, f"conv{stage}_block{i}")
    return norm_relu(x, "bn", "relu")


def _densenet(name, depths, *digests):
    file = f"{name.lower()}_weights_tf_dim_ordering_tf_kernels"
    architecture = Architecture(
        functools.partial(_features, depths=depths),
        keras_files("densenet", f"{file}.h5", f"{file}_notop.h5", digests),
        channels_first=False,
    )
    return constructor(
        __name__, name, architecture, "densely connected layers (Huang et al., 2017), https://arxiv.org/abs/1608.06993."
    )


DenseNet121 = _densenet("DenseNet121", (6, 12, 24, 16), "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738")
DenseNet169 = _densenet("DenseNet169", (6, 12, 32, 32), "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b")
DenseNet201 = _densenet("DenseNet201", (6, 12, 48, 32), "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1")

preprocess_input = preprocessing("torch")
