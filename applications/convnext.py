"""ConvNeXt: a convolutional network in the manner of vision transformers (Liu et al., 2022)."""

import functools
from typing import Any

from mlkit import initializers, layers
from mlkit.applications.blocks import channel_axis
from mlkit.applications.classifier import Architecture, constructor, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing
from mlkit.models import Sequential

__all__ = [
    *(f"ConvNeXt{size}" for size in ("Base", "Large", "Small", "Tiny", "XLarge")),
    "decode_predictions",
    "preprocess_input",
]

_MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_VARIANCE = [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2]


class LayerScale(layers.Layer):
    """Each channel times a weight of its own, which starts small (Touvron et al., 2021, https://arxiv.org/abs/2103.17239).

    init_values: what the weights start with. projection_dim: number of channels.
    """

    def __init__(self, init_values, projection_dim, **kwargs):
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight((self.projection_dim,), initializers.Constant(self.init_values))

    def call(self, x: Any) -> Any:
        return x * self.gamma


def _norm(name=None):
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _block(x, width, name):
    """A depthwise 7x7 convolution, then a small network on each pixel, beside a shortcut."""
    shortcut = x
    x = layers.Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(x)
    x = _norm(f"{name}_layernorm")(x)
    x = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(1e-6, width, name=f"{name}_layer_scale")(x)
    return shortcut + layers.Activation("linear", name=f"{name}_identity")(x)


def _features(x, depths, widths, name, include_preprocessing):
    if include_preprocessing and x.shape[channel_axis()] == 3:
        x = layers.Normalization(mean=_MEAN, variance=_VARIANCE, name=f"{name}_prestem_normalization")(x)
    stem = [layers.Conv2D(widths[0], 4, strides=4, name=f"{name}_stem_conv"), _norm(f"{name}_stem_layernorm")]
    smaller = [Sequential(stem, name=f"{name}_stem")]
    for i, width in enumerate(widths[1:]):
        halving = layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{i}")
        steps = [_norm(f"{name}_downsampling_layernorm_{i}"), halving]
        smaller.append(Sequential(steps, name=f"{name}_downsampling_block_{i}"))
    for stage, (depth, width) in enumerate(zip(depths, widths)):
        x = smaller[stage](x)
        for i in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{i}")
    return x


def _top(x, classes, activation, name):
    x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    x = _norm(f"{name}_head_layernorm")(x)
    return layers.Dense(classes, activation=activation, name=f"{name}_head_dense")(x)


_ABOUT = "a modern convolutional network (Liu et al., 2022), https://arxiv.org/abs/2201.03545."
_OWN = "include_preprocessing: whether the model itself scales pixels from 0 to 255; else it takes them scaled.\n"


def _convnext(size, depths, width, *digests):
    file = f"convnext_{size.lower()}"

    def architecture(include_preprocessing, name):
        widths = [width * 2**i for i in range(4)]
        return Architecture(
            functools.partial(_features, depths=depths, widths=widths, name=name, include_preprocessing=include_preprocessing),
            keras_files("convnext", f"{file}.h5", f"{file}_notop.h5", digests),
            top=functools.partial(_top, name=name),
            pooled_names=(None, None),
            after_pooling=lambda x: _norm()(x),
            channels_first=False,
        )

    arguments = {
        "include_top": True, "include_preprocessing": True, "weights": "imagenet", "input_tensor": None, "input_shape": None,
        "pooling": None, "classes": 1000, "classifier_activation": "softmax",
    }  # fmt: skip
    return constructor(__name__, f"ConvNeXt{size}", architecture, _ABOUT, file, arguments, _OWN)


ConvNeXtTiny = _convnext(
    "Tiny", (3, 3, 9, 3), 96,
    "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
    "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
)  # fmt: skip
ConvNeXtSmall = _convnext(
    "Small", (3, 3, 27, 3), 96,
    "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
    "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
)  # fmt: skip
ConvNeXtBase = _convnext(
    "Base", (3, 3, 27, 3), 128,
    "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
    "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
)  # fmt: skip
ConvNeXtLarge = _convnext(
    "Large", (3, 3, 27, 3), 192,
    "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
    "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
)  # fmt: skip
ConvNeXtXLarge = _convnext(
    "XLarge", (3, 3, 27, 3), 256,
    "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
    "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
)  # fmt: skip

preprocess_input = preprocessing(None)
