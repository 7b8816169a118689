"""Inception-ResNet V2: Inception blocks beside shortcuts (Szegedy et al., 2017)."""

from typing import Any

from mlkit import layers
from mlkit.applications.blocks import batch_norm, channel_axis
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.applications.inception_v3 import branch, pooled_branch, stem

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

_BRANCHES = {  # kind of block -> the convolutions of its branches, each (filters, kernel size)
    "block35": (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
    "block17": (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
    "block8": (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
}


class CustomScaleLayer(layers.Layer):
    """The first input plus `scale` times the second."""

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale


def _block(x, kind, scale, number, relu=True):
    """Inception branches that end in a small step away from the input."""
    name, axis = f"{kind}_{number}", channel_axis()
    mixed = layers.Concatenate(axis=axis, name=f"{name}_mixed")([branch(x, *steps) for steps in _BRANCHES[kind]])
    step = layers.Conv2D(x.shape[axis], 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, step])
    return layers.Activation("relu", name=f"{name}_ac")(x) if relu else x


def _halve(x, *branches, name):
    """Branches that all halve the size, and a pooling beside them."""
    found = [branch(x, *steps, halve=True) for steps in branches]
    pooled = layers.MaxPooling2D(3, strides=2)(x)
    return layers.Concatenate(axis=channel_axis(), name=name)([*found, pooled])


def _features(x):
    x = stem(x)
    branches = [branch(x, (96, 1)), branch(x, (48, 1), (64, 5)), branch(x, (64, 1), (96, 3), (96, 3)), pooled_branch(x, 64)]
    x = layers.Concatenate(axis=channel_axis(), name="mixed_5b")(branches)
    for number in range(1, 11):
        x = _block(x, "block35", 0.17, number)
    x = _halve(x, [(384, 3)], [(256, 1), (256, 3), (384, 3)], name="mixed_6a")
    for number in range(1, 21):
        x = _block(x, "block17", 0.1, number)
    x = _halve(x, [(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)], name="mixed_7a")
    for number in range(1, 10):
        x = _block(x, "block8", 0.2, number)
    x = _block(x, "block8", 1.0, 10, relu=False)
    x = layers.Conv2D(1536, 1, padding="same", use_bias=False, name="conv_7b")(x)
    return layers.Activation("relu", name="conv_7b_ac")(batch_norm(x, "conv_7b_bn", scale=False))


_FILE = "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels"


def _inception_resnet_v2():
    digests = "e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"
    files = keras_files("inception_resnet_v2", f"{_FILE}.h5", f"{_FILE}_notop.h5", digests)
    architecture = Architecture(_features, files, size=299, min_size=75, pooled_names=(None, None))
    about = "Inception blocks with shortcuts (Szegedy et al., 2017), https://arxiv.org/abs/1602.07261."
    return constructor(__name__, "InceptionResNetV2", architecture, about, "inception_resnet_v2")


InceptionResNetV2 = _inception_resnet_v2()

preprocess_input = preprocessing("tf")
