"""NASNet-A: cells found by architecture search, stacked (Zoph et al., 2018)."""

import functools

from mlkit import layers
from mlkit.applications.blocks import batch_norm, channel_axis, pad_for_stride_2, spatial_size
from mlkit.applications.classifier import Architecture, constructor, dense_top, keras_files
from mlkit.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


def _norm(x, name):
    return batch_norm(x, name, momentum=0.9997, epsilon=1e-3)


def _conv(x, filters, name):
    """A 1x1 convolution."""
    return layers.Conv2D(filters, 1, padding="same", name=name, use_bias=False, kernel_initializer="he_normal")(x)


def _concat(tensors, name=None):
    return layers.Concatenate(axis=channel_axis(), name=name)(tensors)


def _separable(x, filters, kernel, name, stride=1):
    """ReLU, separable convolution and normalization, twice; the first time with the stride."""
    x = layers.Activation("relu")(x)
    if stride == 2:
        x = pad_for_stride_2(x, kernel, f"separable_conv_1_pad_{name}")
    padding = "valid" if stride == 2 else "same"
    x = layers.SeparableConv2D(
        filters, kernel, strides=stride, name=f"separable_conv_1_{name}", padding=padding, use_bias=False
    )(x)
    x = layers.Activation("relu")(_norm(x, f"separable_conv_1_bn_{name}"))
    x = layers.SeparableConv2D(filters, kernel, name=f"separable_conv_2_{name}", padding="same", use_bias=False)(x)
    return _norm(x, f"separable_conv_2_bn_{name}")


def _adjusted(before, x, filters, name):
    """What the cell before the last gave, brought to the size of x and `filters` channels."""
    if before is None:
        return x
    if spatial_size(before) != spatial_size(x):
        before = layers.Activation("relu", name=f"adjust_relu_1_{name}")(before)
        even = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_1_{name}")(before)
        even = _conv(even, filters // 2, f"adjust_conv_1_{name}")
        # the same pixels again, but shifted by one
        odd = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(before))
        odd = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_2_{name}")(odd)
        odd = _conv(odd, filters // 2, f"adjust_conv_2_{name}")
        return _norm(_concat([even, odd]), f"adjust_bn_{name}")
    if before.shape[channel_axis()] != filters:
        before = _conv(layers.Activation("relu")(before), filters, f"adjust_conv_projection_{name}")
        return _norm(before, f"adjust_bn_{name}")
    return before


def _normal_cell(x, before, filters, name):
    """A cell that keeps the size: (output, input of this cell)."""
    p = _adjusted(before, x, filters, name)
    h = _norm(_conv(layers.Activation("relu")(x), filters, f"normal_conv_1_{name}"), f"normal_bn_1_{name}")
    separable = lambda t, kernel, side: _separable(t, filters, kernel, f"normal_{side}_{name}")
    mean = lambda t, side: layers.AveragePooling2D(3, strides=1, padding="same", name=f"normal_{side}_{name}")(t)
    add = lambda number, *terms: layers.add(terms, name=f"normal_add_{number}_{name}")
    parts = [
        p,
        add(1, separable(h, 5, "left1"), separable(p, 3, "right1")),
        add(2, separable(p, 5, "left2"), separable(p, 3, "right2")),
        add(3, mean(h, "left3"), p),
        add(4, mean(p, "left4"), mean(p, "right4")),
        add(5, separable(h, 3, "left5"), h),
    ]
    return _concat(parts, f"normal_concat_{name}"), x


def _reduction_cell(x, before, filters, name):
    """A cell that halves the size: (output, input of this cell)."""
    p = _adjusted(before, x, filters, name)
    h = _norm(_conv(layers.Activation("relu")(x), filters, f"reduction_conv_1_{name}"), f"reduction_bn_1_{name}")
    padded = pad_for_stride_2(h, 3, f"reduction_pad_1_{name}")
    separable = lambda t, kernel, side, stride=2: _separable(t, filters, kernel, f"reduction_{side}_{name}", stride)
    pooled = lambda pooling, side: pooling(3, strides=2, name=f"reduction_{side}_{name}")(padded)
    x1 = layers.add([separable(h, 5, "left1"), separable(p, 7, "right1")], name=f"reduction_add_1_{name}")
    x2 = [pooled(layers.MaxPooling2D, "left2"), separable(p, 7, "right2")]
    x2 = layers.add(x2, name=f"reduction_add_2_{name}")
    x3 = [pooled(layers.AveragePooling2D, "left3"), separable(p, 5, "right3")]
    x3 = layers.add(x3, name=f"reduction_add3_{name}")
    x4 = layers.AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{name}")(x1)
    x4 = layers.add([x2, x4])
    x5 = [separable(x1, 3, "left4", stride=1), pooled(layers.MaxPooling2D, "right5")]
    x5 = layers.add(x5, name=f"reduction_add4_{name}")
    return _concat([x2, x3, x4, x5], f"reduction_concat_{name}"), x


def _features(x, filters, stem_filters, depth, skips):
    """skips: whether the cell after a reduction sees the input of the cell before it, instead of the reduction's own."""
    x = layers.Conv2D(stem_filters, 3, strides=2, use_bias=False, name="stem_conv1", kernel_initializer="he_normal")(x)
    x, before = _norm(x, "stem_bn1"), None
    for i, divisor in ((1, 4), (2, 2)):
        x, before = _reduction_cell(x, before, filters // divisor, f"stem_{i}")
    for stage in range(3):
        if stage > 0:
            x, own = _reduction_cell(x, before, filters * 2**stage, f"reduce_{stage * depth}")
            before = before if skips else own
        for i in range(depth):
            x, before = _normal_cell(x, before, filters * 2**stage, f"{stage * depth + i + (stage > 0)}")
    return layers.Activation("relu")(x)


def _nasnet(name, size, file, features, *digests):
    files = keras_files("nasnet", f"NASNet-{file}.h5", f"NASNet-{file}-no-top.h5", digests)
    architecture = Architecture(
        features, files, size, top=dense_top(None), pooled_names=(None, None), known_size=True, channels_first=False
    )
    arguments = {
        "input_shape": None, "include_top": True, "weights": "imagenet", "input_tensor": None, "pooling": None, "classes": 1000,
        "classifier_activation": "softmax",
    }  # fmt: skip
    about = "learned transferable cells (Zoph et al., 2018), https://arxiv.org/abs/1707.07012."
    return constructor(__name__, name, architecture, about, f"nasnet_{file}", arguments)


NASNetMobile = _nasnet(
    "NASNetMobile", 224, "mobile",
    functools.partial(_features, filters=44, stem_filters=32, depth=4, skips=False),
    "020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63",
)  # fmt: skip
NASNetLarge = _nasnet(
    "NASNetLarge", 331, "large",
    functools.partial(_features, filters=168, stem_filters=96, depth=6, skips=True),
    "11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5",
)  # fmt: skip

preprocess_input = preprocessing("tf")
