"""Arguments that mean the same wherever a namespace has them: said once here, shown with each function that takes them."""

_CHANNELS = (
    '"channels_last", (batch, ..., channels), or "channels_first", (batch, channels, ...); by default what '
    "`mlkit.config.image_data_format()` says."
)
_SEED = "an int, a `mlkit.random.SeedGenerator`, or None for the global generator."
_FROM_CONFIG = {
    "identifier": "a name, a config, an object (which comes back as it is) or None.",
    "config": "what `serialize` gave.",
    "custom_objects": "dict name -> class or function, for those of yours that are not registered.",
}
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
    },
    "constraints": _FROM_CONFIG,
    "initializers": _FROM_CONFIG,
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
        "use_bias": "whether to add a bias.",
        "value_range": "(least, greatest) value of a pixel.",
    },
    "losses": {**_FROM_CONFIG, **_TARGETS},
    "metrics": {**_FROM_CONFIG, **_TARGETS},
    "ops": {
        **_FOLDED,
        "x": "tensor, or what one can be made of.",
        "x1": "tensor, or what one can be made of.",
        "x2": "likewise; shapes broadcast and dtypes are promoted as in `result_type`.",
        "dtype": "name of the result's dtype; by default that of the arguments, or floatx.",
        "data_format": _CHANNELS,
    },
    "ops.image": {"images": "(height, width, channels), or a batch of them.", "data_format": _CHANNELS},
    "optimizers": _FROM_CONFIG,
    "random": {
        "shape": "of the result, a tuple of ints.",
        "dtype": "of the result, by default floatx.",
        "seed": _SEED,
    },
    "regularizers": _FROM_CONFIG,
    "tree": {
        "structure": "lists, tuples, dicts and named tuples, nested in any way; anything else is a leaf.",
        "func": "function of one leaf of each structure.",
    },
}


def common(path: str) -> dict[str, str]:
    """The explanations that hold for a function or class: name of an argument -> what it is.

    Args:
        path: its name from `mlkit` on, as "ops.mean".
    """
    return COMMON.get(path.rpartition(".")[0], {})
