"""What a model says of photos: files, folders, Pillow images or arrays become names with probabilities."""

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.machine import usable_cores
from mlkit.core.settings import image_data_format
from mlkit.data.decode import CHANNELS, decode_image, fitted, unreadable
from mlkit.data.folder_walk import FolderWalk
from mlkit.data.photo_kinds import advice, readable_formats
from mlkit.data.workers import ordered_map
from mlkit.models.image_task import ImageTask
from mlkit.models.views import check_views, views

Image = Deferred("PIL.Image")

__all__ = ["Answer", "answers_of", "classify", "photos_of"]


class Answer(Sequence):
    """What a model says of one photo: `(name, probability)` pairs, the most probable first.

    Args:
        photo: path of the photo, or its position among those given.
        ranked: (name, probability) pairs, the most probable first; (name, value) of a model that predicts values.
        error: why the photo could not be read, so that there are no pairs, or None.
        kind: "one" class a photo, "several", or "values".

    >>> answer = Answer("a.jpg", [("cat", 0.9), ("dog", 0.1)])
    >>> answer.name, answer[1], dict(answer)["dog"], answer
    ('cat', ('dog', 0.1), 0.1, <a.jpg: cat 90.0%, dog 10.0%>)
    """

    def __init__(self, photo: Any, ranked: Sequence[tuple[str, float]], error: str | None = None, kind: str = "one"):
        self.photo, self.ranked, self.error, self.kind = photo, list(ranked), error, kind

    def __getitem__(self, place: Any) -> Any:
        return self.ranked[place]

    def __len__(self) -> int:
        return len(self.ranked)

    @property
    def name(self) -> str | None:
        """The most probable class."""
        return self.ranked[0][0] if self.ranked else None

    @property
    def probability(self) -> float:
        """That of the most probable class; NaN where there is none."""
        return self.ranked[0][1] if self.ranked else float("nan")

    def __repr__(self) -> str:
        shown = [f"{n} {p:.4g}" if self.kind == "values" else f"{n} {p:.1%}" for n, p in self.ranked[:5]]
        return f"<{self.photo}: {self.error or ', '.join(shown)}>"


def classify(model: Any, photos: Any, top: int | None = None, batch_size: int = 32, augment: Any = None, times: int = 4) -> Any:
    """Names of classes with their probabilities, for photos as they are.

    Args:
        model: Which has an `image_task`, unless its outputs are probabilities of numbered classes.
        photos: A path, a folder (with all below it), a Pillow image, an array (height, width, channels) of pixels from 0 to 255, a
            batch of these, or an iterable of any. Each is brought to the size, and in the way, that `image_task` says.
        top: How many classes to name, all unless given.
        batch_size: Photos that the model is called on at once.
        augment, times: Judge each photo in several views: "flip" for its mirror image besides, or layers of augmentation, by which it
            is seen `times` times.

    Returns:
        An `Answer` for a single photo, else a list of them: `(name, probability)` pairs, the most probable first. Photos that cannot
        be read are named in a warning; their answers have an `error`.

    Raises:
        ValueError: None of the photos can be read.

    >>> import mlkit
    >>> layers = [mlkit.Input((8, 8, 3)), mlkit.layers.Flatten(), mlkit.layers.Dense(2, "softmax", kernel_initializer="zeros")]
    >>> model = mlkit.Sequential(layers)
    >>> model.image_task = mlkit.models.ImageTask(["cat", "dog"])
    >>> classify(model, np.zeros((20, 30, 3), "uint8"))
    <0: cat 50.0%, dog 50.0%>
    """
    single = isinstance(photos, Image.Image) or (
        os.path.isfile(photos) if isinstance(photos, (str, os.PathLike)) else isinstance(photos, np.ndarray) and photos.ndim < 4
    )
    found = list(answers_of(model, photos, top, batch_size, augment, times))
    broken = [a for a in found if a.error is not None]
    if broken and (single or len(broken) == len(found)):
        raise ValueError(f"classify: {broken[0].photo} could not be read ({broken[0].error}).")
    if broken:
        shown = "".join(f"\n  {a.photo} ({a.error})" for a in broken[:10])
        more = f"\n  and {len(broken) - 10} more" if len(broken) > 10 else ""
        warnings.warn(f"{len(broken)} of {len(found)} photos could not be read:{shown}{more}", stacklevel=3)
    return found[0] if single else found


def answers_of(
    model: Any, photos: Any, top: int | None = None, batch_size: int = 32, augment: Any = None, times: int = 4
) -> Iterator[Answer]:
    """An `Answer` for each photo, in their order, as they are ready: no more than a few batches are in memory.

    The arguments are those of `classify`. A photo that cannot be read has an answer that says why.
    """
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"classify: `batch_size` must be a whole number from 1 on, but is {batch_size!r}.")
    if top is not None and (not isinstance(top, (int, np.integer)) or top < 1):
        raise ValueError(f"classify: `top` must be a whole number from 1 on, or None for all, but is {top!r}.")
    check_views(augment, times)
    task = model.image_task or ImageTask()
    decoding = {"size": _size(model, task), "color_mode": _color_mode(model, task)}
    decoding |= {"interpolation": task.interpolation, "fit": task.fit, "antialias": task.antialias}
    named = photos_of(photos)
    waiting, ahead = itertools.tee(named) if not isinstance(named, list) else (named, named)
    pictures = ordered_map(lambda pair: _loaded(pair[1], decoding), ahead, min(usable_cores(), 16), ahead=2 * batch_size)
    try:
        pairs = zip(waiting, pictures)
        while batch := list(itertools.islice(pairs, batch_size)):
            good = [picture for _, picture in batch if not isinstance(picture, str)]
            rows = iter(_rows(model, np.stack(good), task, augment, times) if good else ())
            for (photo, _), picture in batch:
                broken = isinstance(picture, str)
                yield Answer(photo, () if broken else _ranked(next(rows), task, top), picture if broken else None, task.kind)
    finally:
        pictures.close()


def photos_of(photos: Any) -> Any:
    """(name, photo) of each photo there is: an iterable, of which a folder's and a list's are lists."""
    if isinstance(photos, (str, os.PathLike)):
        path = os.fspath(photos)
        if os.path.isdir(path):
            walk = FolderWalk(path, readable_formats())
            found, notes = [(p, p) for p in walk.files()], "; ".join(walk.notes(advice()))
            if not found:
                expected = f"Expected names ending in {', '.join(readable_formats())}."
                raise ValueError(f"classify: folder {path!r} holds no photos. {notes or expected}")
            if notes:
                warnings.warn(f"{path}: {notes}.", stacklevel=4)
            return found
        if not os.path.exists(path):
            raise FileNotFoundError(f"classify: there is no photo or folder {path!r} (looked for it in {os.getcwd()!r}).")
        return [(path, path)]
    if isinstance(photos, Image.Image):
        return [(getattr(photos, "filename", "") or 0, photos)]
    if hasattr(photos, "shape"):
        array = np.asarray(photos)
        if array.ndim not in (2, 3, 4):
            raise ValueError(f"classify: an array must be (height, width, channels) or a batch of such, but is {array.shape}.")
        return list(enumerate(array)) if array.ndim == 4 else [(0, array)]
    if not isinstance(photos, Iterable):
        raise TypeError(f"classify: expected paths, folders, Pillow images or arrays, but got {type(photos).__name__}.")
    named = ((_name(photo, i), photo) for i, photo in enumerate(photos))
    return list(named) if isinstance(photos, (list, tuple)) else named


def _name(photo, position):
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else getattr(photo, "filename", "") or position


def _loaded(photo, decoding):
    """The photo as an array, or the text that says why it cannot be read."""
    try:
        if isinstance(photo, (str, os.PathLike)):
            return decode_image(photo, **decoding)
        if isinstance(photo, Image.Image):
            return fitted(photo, **decoding)
        return _of_array(np.asarray(photo), decoding)
    except unreadable() as error:
        return f"{type(error).__name__}: {error}"


def _of_array(array, decoding):
    channels = CHANNELS[decoding["color_mode"]]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("the array holds NaN or infinite values")
    if array.shape == (*decoding["size"], channels):
        return array
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
        raise ValueError(f"expected (height, width, channels), but got an array of shape {array.shape}")
    if array.dtype != np.uint8:
        array = np.rint(np.clip(array, 0, 255)).astype("uint8")
    return fitted(Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array), **decoding)


def _input_shape(model):
    """(batch, height, width, channels) of what the model takes."""
    shape = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(shape, tuple) or len(shape) != 4:
        return (None,) * 4
    return (shape[0], *shape[2:], shape[1]) if image_data_format() == "channels_first" else shape


def _size(model, task):
    size = task.image_size or _input_shape(model)[1:3]
    if None in size:
        raise ValueError(
            f"classify: model {model.name!r} does not say how large its images are. "
            "Say it: model.image_task = keras.models.ImageTask(class_names, image_size=(height, width))."
        )
    return size


def _color_mode(model, task):
    channels = _input_shape(model)[3]
    by_channels = {count: mode for mode, count in CHANNELS.items()}
    return by_channels.get(channels, task.color_mode) if channels != CHANNELS[task.color_mode] else task.color_mode


def _rows(model, images, task, augment, times):
    """Probabilities (batch, classes), or values."""
    seen = views(images.astype("float32"), augment, times)
    if image_data_format() == "channels_first":
        seen = (np.ascontiguousarray(np.moveaxis(np.asarray(view), -1, 1)) for view in seen)
    out = np.mean([np.asarray(model.predict_on_batch(view), "float64") for view in seen], axis=0)
    if out.ndim != 2:
        raise ValueError(f"classify: the model must give one row an image, but gave shape {out.shape}.")
    if task.kind == "values":
        return out
    if (out < -1e-3).any() or (out > 1 + 1e-3).any():
        raise ValueError(
            f"classify: model {model.name!r} gives no probabilities but numbers from {out.min():.3g} to {out.max():.3g}. "
            "Let it end in softmax or sigmoid."
        )
    return np.concatenate([1 - out, out], axis=1) if out.shape[1] == 1 and task.kind == "one" else out


def _ranked(row, task, top):
    names = task.class_names or [str(i) for i in range(len(row))]
    order = range(len(row)) if task.kind == "values" else np.argsort(-row, kind="stable")
    return [(names[i], float(row[i])) for i in itertools.islice(order, top)]
