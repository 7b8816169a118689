"""What models have for photos: the task they know, and answers in names."""

from typing import Any

from mlkit import models
from mlkit.models.image_task import ImageTask


class PhotoMethods:
    """A part of `Model`."""

    _image_task: ImageTask | None = None

    @property
    def image_task(self) -> ImageTask | None:
        """What the model knows of its task with images, an `ImageTask`; it is saved with the model. `mlkit.finetune` sets it."""
        return self._image_task

    @image_task.setter
    def image_task(self, task: ImageTask | None) -> None:
        if task is not None:
            task.check_outputs(getattr(self, "output_shape", None) if self._graph is not None else None)
        self._image_task = task

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, as `image_task` tells them, or None."""
        names = None if self._image_task is None else self._image_task.class_names
        return None if names is None else list(names)

    def classify(self, photos: Any, top: int | None = None, batch_size: int = 32, augment: Any = None, times: int = 4) -> Any:
        """Names of classes with their probabilities, for photos as they are.

        photos: a path, a folder (with all below it), a Pillow image, an array (height, width, channels) of pixels from 0 to 255, a
        batch of these, or an iterable of any. Each is brought to the size, and in the way, that `image_task` says. top: how many
        classes to name, all unless given. augment, times: judge each photo in several views: "flip" for its mirror image besides,
        or layers of augmentation, by which it is seen `times` times. Photos that cannot be read are named in a warning; their
        answers have an `error`.

        Returns an `Answer` for a single photo, else a list of them: `(name, probability)` pairs, the most probable first.

        >>> import mlkit, numpy as np
        >>> layers = [mlkit.Input((8, 8, 3)), mlkit.layers.Flatten(), mlkit.layers.Dense(2, "softmax", kernel_initializer="zeros")]
        >>> model = mlkit.Sequential(layers)
        >>> model.image_task = mlkit.models.ImageTask(["cat", "dog"])
        >>> model.classify(np.zeros((20, 30, 3), "uint8"))
        <0: cat 50.0%, dog 50.0%>
        """
        return models.classify(self, photos, top, batch_size, augment, times)
