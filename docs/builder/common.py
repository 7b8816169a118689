"""Arguments that mean the same wherever a namespace has them: said once here, shown with each function that takes them."""

_CHANNELS = (
    '"channels_last", (batch, ..., channels), or "channels_first", (batch, channels, ...); by default what '
    "`mlkit.config.image_data_format()` says."
)
_BOXES = (
    'what the four numbers are: "xyxy" (left, top, right, bottom), "yxyx", "xywh" (left, top, width, height), "center_xywh", '
    '"center_yxhw", or one of these with "rel_" before it: parts of the image\'s width and height.'
)
_SEED = "an int, a `mlkit.random.SeedGenerator`, or None for the global generator."
_FROM_CONFIG = {
    "identifier": "a name, a config, an object (which comes back as it is) or None.",
    "config": "what `serialize` gave.",
    "custom_objects": "dict name -> class or function, for those of yours that are not registered.",
}
_SPARSE = "True is refused: tensors here are dense."
_TARGETS = {
    "y_true": "targets, of the predictions' shape unless said otherwise.",
    "y_pred": "predictions (batch, ..., d).",
    "from_logits": "whether predictions are logits, not probabilities.",
    "axis": "the axis of classes or features, by default the last.",
}
_FOLDED = {  # of reductions
    "axis": "an axis, several of them in a tuple, or None for all; negative ones count from the end.",
    "keepdims": "whether the axes that are reduced stay, with size 1.",
}

COMMON: dict[str, dict[str, str]] = {
    "activations": {
        **_FROM_CONFIG,
        "x": "tensor of any shape; the result has its shape.",
        "axis": "the axis that is normalized.",
        "activation": "a function of this module, or one of yours.",
    },
    "constraints": {**_FROM_CONFIG, "constraint": "an object; one of a class of yours needs `get_config`."},
    "dtype_policies": _FROM_CONFIG | {"dtype_policy": "a `DTypePolicy` or a `DTypePolicyMap`."},
    "initializers": {**_FROM_CONFIG, "initializer": "an object; one of a class of yours needs `get_config`."},
    "layers": {
        **_FROM_CONFIG,
        "activation": "what the result goes through, a name or a function; None: nothing.",
        "data_format": _CHANNELS,
        "dilation_rate": "distance of a window's cells, an int or one per spatial axis.",
        "fill_mode": 'what lies beyond the edges of an image: "constant" (fill_value), "nearest", "reflect" or "wrap".',
        "fill_value": 'the value beyond the edges with fill_mode="constant".',
        "filters": "output channels.",
        "inputs": "list of tensors.",
        "interpolation": '"nearest" or "bilinear".',
        "kernel_size": "size of the window, an int or one per spatial axis.",
        "name": "of the layer, unique in a model.",
        "padding": '"valid" (none) or "same" (output size = input size / stride, rounded up).',
        "seed": "an int draws the same numbers in each run, None others.",
        "strides": "steps of the window, an int or one per spatial axis.",
        "sparse": _SPARSE,
        "ragged": "True is refused: rows of different lengths are padded, and masked where a layer can.",
        "quantization_config": "Keras's settings of quantized weights; anything but None is refused.",
        "use_bias": "whether to add a bias.",
        "value_range": "(least, greatest) value of a pixel.",
    },
    "losses": {**_FROM_CONFIG, **_TARGETS, "loss": "a `Loss`, or a function of targets and predictions."},
    "metrics": {**_FROM_CONFIG, **_TARGETS, "metric": "a `Metric`, or a function of targets and predictions."},
    "ops": {
        **_FOLDED,
        "x": "tensor, or what one can be made of.",
        "x1": "tensor, or what one can be made of.",
        "x2": "likewise; shapes broadcast and dtypes are promoted as in `result_type`.",
        "dtype": "name of the result's dtype; by default that of the arguments, or floatx.",
        "data_format": _CHANNELS,
        "from_logits": "whether `output` is of logits, not of probabilities.",
        "sparse": _SPARSE,
    },
    "ops.image": {"images": "(height, width, channels), or a batch of them.", "data_format": _CHANNELS},
    "optimizers": {**_FROM_CONFIG, "optimizer": "an object; its variables are not part of the config."},
    "optimizers.schedules": {**_FROM_CONFIG, "learning_rate_schedule": "a `LearningRateSchedule`."},
    "random": {
        "shape": "of the result, a tuple of ints.",
        "dtype": "of the result, by default floatx.",
        "seed": _SEED,
    },
    "regularizers": {**_FROM_CONFIG, "regularizer": "an object; one of a class of yours needs `get_config`."},
    "tree": {
        "structure": "lists, tuples, dicts and named tuples, nested in any way; anything else is a leaf.",
        "func": "function of one leaf of each structure.",
        "a": "a structure.",
        "b": "the one to compare it with.",
    },
    "utils.bounding_boxes": {
        "boxes": 'tensor (boxes, 4) or (batch, boxes, 4); where structures are taken, a dict with it under "boxes".',
        "boxes1": "tensor (boxes, 4) or (batch, boxes, 4).",
        "boxes2": "likewise.",
        "anchors": "tensor (anchors, 4), or a dict of one for each level of a pyramid.",
        "bounding_box_format": _BOXES,
        "anchor_format": "format of the anchors, a name as in `convert_format`.",
        "box_format": "format of the boxes, likewise.",
        "height": "of the image, in pixels.",
        "width": "of the image, in pixels.",
        "image_shape": "(height, width, channels) of the image, for relative formats.",
        "variance": "four numbers by which the targets are divided, or None.",
    },
    "visualization": {
        "bounding_box_format": _BOXES,
        "data_format": _CHANNELS,
        "title": "a text that stands above.",
        "value_range": "(least, greatest) value of a pixel.",
    },
}

ELEMENTWISE = (  # functions of `ops` that compute each element of the result from that of x
    "abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh bitwise_invert bitwise_not cbrt ceil celu clip conj "
    "conjugate cos cosh deg2rad digamma elu erf erfc erfinv exp exp2 expm1 fabs floor gelu hard_shrink hard_sigmoid "
    "hard_silu hard_swish hard_tanh i0 imag isfinite isinf isnan isneginf isposinf isreal leaky_relu lgamma log log10 log1p "
    "log2 log_sigmoid logical_not nan_to_num negative rad2deg real reciprocal relu relu6 round rsqrt saturate_cast selu "
    "sigmoid sign signbit silu sin sinc sinh soft_shrink softplus softsign sparse_plus sparse_sigmoid sqrt square "
    "squareplus swish tan tanh tanh_shrink threshold trunc"
).split()


def common(path: str) -> dict[str, str]:
    """The explanations that hold for a function or class: name of an argument -> what it is.

    Args:
        path: its name from `mlkit` on, as "ops.mean".
    """
    space, _, name = path.rpartition(".")
    found = COMMON.get(space, {})
    if space == "ops" and name in ELEMENTWISE:
        found = found | {"x": "tensor of any shape, or what one can be made of; the result has its shape."}
    return found
