"""What stands in front of a model of images in a file: photos as they come, cast, resized and scaled."""

from collections.abc import Callable
from typing import Any

from mlkit import ops
from mlkit.core import tree
from mlkit.core.spec import Dim, Spec

Fit = {"stretch": {}, "crop": {"crop_to_aspect_ratio": True}, "pad": {"pad_to_aspect_ratio": True}}


def check(model: Any, preprocess: Any, structure: Any) -> None:
    """Raise ValueError unless the model takes one batch of images and it is known what they need."""
    specs = tree.flatten(structure)
    if len(specs) != 1 or len(specs[0].shape) != 4:
        raise ValueError(f"export: `preprocess` is for models of one batch of images, but {model.name!r} takes {specs}.")
    if preprocess is True and model.image_task is None:
        raise ValueError(
            f"export: what images need before model {model.name!r} is not known: it has no `image_task`. Pass a function: "
            "preprocess=mlkit.applications.mobilenet_v2.preprocess_input."
        )
    if preprocess is not True and not callable(preprocess):
        raise TypeError(f"export: `preprocess` must be True, False or a function of images, but is {preprocess!r}.")


def photo_spec(model: Any, inside: Spec, given: Spec | None) -> Spec:
    """The Spec of the photos that the file takes: pixels from 0 to 255, of the size given, or of what the model takes.

    Raises:
        ValueError: No size is known.
    """
    if given is None:
        task = model.image_task
        size = task.image_size if task is not None and task.image_size else inside.shape[1:3]
        given = Spec((inside.shape[0], *size, inside.shape[3]), "uint8")
    if any(type(n) is Dim for n in given.shape[1:]):
        raise ValueError(
            "export: resizing needs to know how large photos are: input_signature=[mlkit.InputSpec(shape=(None, 480, 640, 3), "
            "dtype='uint8')]."
        )
    return given


def prepared(model: Any, inside: Spec, preprocess: Any) -> Callable[[Any], Any]:
    """The function of a batch of photos that gives what the model takes."""
    task = model.image_task
    size = tuple(task.image_size) if task is not None and task.image_size else inside.shape[1:3]
    how: dict[str, Any] = {} if task is None else {"interpolation": task.interpolation, **Fit[task.fit]}

    def function(photos: Any) -> Any:
        images = ops.cast(photos, inside.dtype)
        if not any(type(n) is Dim for n in size) and tuple(photos.shape[1:3]) != tuple(size):
            images = ops.clip(ops.image.resize(images, size, antialias=True, data_format="channels_last", **how), 0.0, 255.0)
        return images if preprocess is True else preprocess(images)

    return function
