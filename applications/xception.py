"""Xception: residual blocks of separable convolutions (Chollet, 2017)."""

from mlkit import layers
from mlkit.applications.blocks import batch_norm
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["Xception", "decode_predictions", "preprocess_input"]


def _relu(x, name):
    return layers.Activation("relu", name=f"{name}_act")(x)


def _separable(x, filters, name):
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return batch_norm(x, f"{name}_bn")


def _half_size_block(x, widths, number):
    """Two separable convolutions and a pooling, beside a shortcut by a convolution of stride 2."""
    name = f"block{number}"
    shortcut = layers.Conv2D(widths[1], 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = batch_norm(shortcut)
    if number > 2:  # what comes before block 2 ends with ReLU already
        x = _relu(x, f"{name}_sepconv1")
    x = _separable(x, widths[0], f"{name}_sepconv1")
    x = _separable(_relu(x, f"{name}_sepconv2"), widths[1], f"{name}_sepconv2")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return layers.add([x, shortcut])


def _features(x):
    for name, filters, stride in (("block1_conv1", 32, 2), ("block1_conv2", 64, 1)):
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=name)(x)
        x = _relu(batch_norm(x, f"{name}_bn"), name)
    for number, width in ((2, 128), (3, 256), (4, 728)):
        x = _half_size_block(x, (width, width), number)
    for number in range(5, 13):
        shortcut = x
        for name in (f"block{number}_sepconv{i}" for i in (1, 2, 3)):
            x = _separable(_relu(x, name), 728, name)
        x = layers.add([x, shortcut])
    x = _half_size_block(x, (728, 1024), 13)
    for name, filters in (("block14_sepconv1", 1536), ("block14_sepconv2", 2048)):
        x = _relu(_separable(x, filters, name), name)
    return x


_FILE = "xception_weights_tf_dim_ordering_tf_kernels"


def _xception():
    digests = "0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"
    files = keras_files("xception", f"{_FILE}.h5", f"{_FILE}_notop.h5", digests)
    architecture = Architecture(_features, files, size=299, min_size=71, pooled_names=(None, None))
    return constructor(
        __name__, "Xception", architecture, "separable convolutions (Chollet, 2017), https://arxiv.org/abs/1610.02357."
    )


Xception = _xception()

preprocess_input = preprocessing("tf")
