"""Inception V3: blocks of parallel branches with factorized convolutions (Szegedy et al., 2016)."""

from mlkit import layers
from mlkit.applications.blocks import batch_norm, channel_axis
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.core.typing import IntOrSequence

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]


def conv_norm_relu(x, filters, kernel_size, strides: IntOrSequence = 1, padding: str = "same"):
    """A convolution without bias, batch normalization without scale, ReLU; names are automatic."""
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding=padding, use_bias=False)(x)
    return layers.Activation("relu")(batch_norm(x, scale=False))


def branch(x, *steps, halve: bool = False):
    """Convolutions one after the other, each `(filters, kernel size)`. halve: the last one halves the size."""
    for i, (filters, kernel_size) in enumerate(steps, 1):
        last = {"strides": 2, "padding": "valid"} if halve and i == len(steps) else {}
        x = conv_norm_relu(x, filters, kernel_size, **last)
    return x


def pooled_branch(x, filters):
    """The mean of each neighbourhood, then a 1x1 convolution."""
    return conv_norm_relu(layers.AveragePooling2D(3, strides=1, padding="same")(x), filters, 1)


def stem(x):
    """Images to 192 channels at an eighth of the size."""
    x = conv_norm_relu(x, 32, 3, strides=2, padding="valid")
    x = conv_norm_relu(x, 32, 3, padding="valid")
    x = conv_norm_relu(x, 64, 3)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = conv_norm_relu(x, 80, 1, padding="valid")
    x = conv_norm_relu(x, 192, 3, padding="valid")
    return layers.MaxPooling2D(3, strides=2)(x)


def _concat(branches, name=None):
    return layers.Concatenate(axis=channel_axis(), name=name)(branches)


def _block_7x7(x, width, name):
    """A 7x7 convolution factorized into 1x7 and 7x1, once and twice."""
    single = branch(x, (192, 1))
    once = branch(x, (width, 1), (width, (1, 7)), (192, (7, 1)))
    twice = branch(x, (width, 1), (width, (7, 1)), (width, (1, 7)), (width, (7, 1)), (192, (1, 7)))
    return _concat([single, once, twice, pooled_branch(x, 192)], name)


def _last_block(x, number):
    """Branches that fork once more into 1x3 and 3x1."""
    single = branch(x, (320, 1))
    fork = branch(x, (384, 1))
    fork = _concat([branch(fork, (384, (1, 3))), branch(fork, (384, (3, 1)))], f"mixed9_{number}")
    deep = branch(x, (448, 1), (384, 3))
    deep = _concat([branch(deep, (384, (1, 3))), branch(deep, (384, (3, 1)))])
    return _concat([single, fork, deep, pooled_branch(x, 192)], f"mixed{9 + number}")


def _features(x):
    x = stem(x)
    for i, pooled in enumerate((32, 64, 64)):
        branches = [branch(x, (64, 1)), branch(x, (48, 1), (64, 5)), branch(x, (64, 1), (96, 3), (96, 3))]
        x = _concat([*branches, pooled_branch(x, pooled)], f"mixed{i}")
    branches = [branch(x, (384, 3), halve=True), branch(x, (64, 1), (96, 3), (96, 3), halve=True)]
    x = _concat([*branches, layers.MaxPooling2D(3, strides=2)(x)], "mixed3")
    for i, width in enumerate((128, 160, 160, 192), 4):
        x = _block_7x7(x, width, f"mixed{i}")
    branches = [
        branch(x, (192, 1), (320, 3), halve=True),
        branch(x, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), halve=True),
    ]
    x = _concat([*branches, layers.MaxPooling2D(3, strides=2)(x)], "mixed8")
    for number in range(2):
        x = _last_block(x, number)
    return x


_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels"


def _inception_v3():
    digests = "9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"
    files = keras_files("inception_v3", f"{_FILE}.h5", f"{_FILE}_notop.h5", digests)
    architecture = Architecture(_features, files, size=299, min_size=75, pooled_names=(None, None))
    about = "factorized convolutions (Szegedy et al., 2016), https://arxiv.org/abs/1512.00567."
    return constructor(__name__, "InceptionV3", architecture, about, "inception_v3")


InceptionV3 = _inception_v3()

preprocess_input = preprocessing("tf")
