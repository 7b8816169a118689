"""What a classifier of images knows of its task: the names of its classes, and what photos are brought to before it sees them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.data.decode import check_color_mode, check_interpolation
from mlkit.data.fingerprint import fingerprint

KINDS = ("one", "several", "values")
FITS = ("stretch", "crop", "pad")
_LONGEST_NAME, _LARGEST_SIDE = 1000, 1 << 16

__all__ = ["ImageTask"]


@dataclasses.dataclass(frozen=True)
class ImageTask:
    """The task of a model of images. As `model.image_task` it is saved with the model, so that `model.classify` needs only photos.

    Args:
        class_names: names of the outputs (of values, too), or None.
        image_size: (height, width) in pixels, or None for what the model's input says. color_mode, interpolation, fit
            ("stretch", "crop" or "pad"), antialias: how a photo gets there, as in `image_dataset_from_directory`.
        kind: "one" class a photo, "several", or "values" that are no probabilities.
        data: fingerprint of the data that the model was trained on, or None.
        color_mode: "rgb", "rgba" or "grayscale".
        interpolation: how a photo is resized, a name as in `ops.image.resize`.
        fit: "stretch" to the size, "crop" the middle, or "pad" the edges.
        antialias: whether shrinking averages over the pixels that it merges.

    >>> ImageTask(["cat", "dog"], (32, 32)).class_names
    ('cat', 'dog')
    """

    class_names: Sequence[str] | None = None
    image_size: Sequence[int] | None = None
    color_mode: str = "rgb"
    interpolation: str = "bilinear"
    fit: str = "stretch"
    kind: str = "one"
    data: str | None = None
    antialias: bool = True

    def __post_init__(self):
        if self.class_names is not None:
            _check(
                not isinstance(self.class_names, str) and all(_is_name(name) for name in self.class_names),
                f"`class_names` must be a list of texts of at most {_LONGEST_NAME} characters",
            )
            object.__setattr__(self, "class_names", tuple(self.class_names))
        if self.image_size is not None:
            sides = tuple(self.image_size)
            good = len(sides) == 2 and all(_is_whole(n) and 0 < n <= _LARGEST_SIDE for n in sides)
            _check(good, f"`image_size` must be (height, width) in pixels, but is {self.image_size!r}")
            object.__setattr__(self, "image_size", tuple(int(n) for n in sides))
        check_color_mode(self.color_mode)
        _check(isinstance(self.antialias, bool), f"`antialias` must be true or false, but is {self.antialias!r}")
        check_interpolation(self.interpolation, self.antialias)
        _check(self.fit in FITS, f"`fit` must be one of {FITS}, but is {self.fit!r}")
        _check(self.kind in KINDS, f"`kind` must be one of {KINDS}, but is {self.kind!r}")
        _check(self.data is None or _is_name(self.data), "`data` must be a short text or None")

    @classmethod
    def of(cls, data: Any, kind: str = "one") -> "ImageTask":
        """The task that a data set sets: an image folder tells names and decoding, arrays the size of their images.

        >>> ImageTask.of((np.zeros((2, 8, 9, 3)), np.array([0, 1]))).image_size
        (8, 9)
        """
        decoding = getattr(data, "decoding", None)
        if decoding is not None:
            size, names = decoding["size"], data.class_names or data.files.value_names
            rest = {key: decoding[key] for key in ("color_mode", "interpolation", "fit", "antialias")}
            return cls(names, size, kind=kind, data=fingerprint(data), **rest)
        images = data[0] if isinstance(data, (tuple, list)) else None
        size = np.shape(images)[1:3] if images is not None and len(np.shape(images)) == 4 else None
        known = None if images is None else fingerprint(data)
        return cls(getattr(data, "class_names", None), size, kind=kind, data=known)

    def get_config(self) -> dict[str, Any]:
        """The task as JSON holds it."""
        config = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}

    @classmethod
    def from_config(cls, config: Any) -> "ImageTask":
        """The task of a file, checked. Raises ValueError that says what is wrong."""
        _check(isinstance(config, Mapping), "it must be an object")
        unknown = sorted(set(config) - {field.name for field in dataclasses.fields(cls)})
        _check(not unknown, f"it has keys that are not known: {unknown}")
        for key in ("class_names", "image_size"):
            _check(config.get(key) is None or isinstance(config[key], list), f"`{key}` must be a list")
        for key in ("color_mode", "interpolation", "fit", "kind"):
            _check(isinstance(config.get(key, ""), str), f"`{key}` must be a text")
        return cls(**config)

    def check_outputs(self, shape: Any) -> None:
        """Raise ValueError unless the model's outputs are as many as the names. shape: of the outputs."""
        units = shape[-1] if isinstance(shape, tuple) and shape else None
        if self.class_names is None or units is None:
            return
        wanted = (1, 2) if units == 1 and self.kind == "one" else (units,)
        _check(
            len(self.class_names) in wanted, f"there are {len(self.class_names)} class names, but the model has {units} outputs"
        )


def _is_name(value):
    return isinstance(value, str) and len(value) <= _LONGEST_NAME


def _is_whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and math.isfinite(value)


def _check(good, message):
    if not good:
        raise ValueError(f"ImageTask: {message}.")
