"""VGG: plain stacks of 3x3 convolutions (Simonyan and Zisserman, 2015)."""

import functools
import re

from mlkit import layers
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["VGG16", "VGG19", "decode_predictions", "preprocess_input"]


def _features(x, depths):
    for block, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512, 512)), 1):
        for i in range(1, depth + 1):
            x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"block{block}_conv{i}")(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    return x


def _top(x, classes, activation):
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)


def _torch_name(layer, depths):
    """The module of torchvision's VGG that a layer stands for: it numbers convolutions, ReLUs and poolings as they come."""
    parts = re.fullmatch(r"block(\d)_conv(\d)", layer)
    if parts is None:
        return {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}[layer]
    block, number = map(int, parts.groups())
    return f"features.{sum(2 * depth + 1 for depth in depths[: block - 1]) + 2 * (number - 1)}"


def _vgg(name, depths, *digests):
    file = f"{name.lower()}_weights_tf_dim_ordering_tf_kernels"
    architecture = Architecture(
        functools.partial(_features, depths=depths),
        keras_files(name.lower(), f"{file}.h5", f"{file}_notop.h5", digests),
        top=_top,
        pooled_names=(None, None),
        torch_names={"torchvision": functools.partial(_torch_name, depths=depths)},
    )
    return constructor(
        __name__, name, architecture, "very deep networks (Simonyan and Zisserman, 2015), https://arxiv.org/abs/1409.1556."
    )


VGG16 = _vgg("VGG16", (2, 2, 3, 3, 3), "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")
VGG19 = _vgg("VGG19", (2, 2, 4, 4, 4), "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6")

preprocess_input = preprocessing("caffe")
