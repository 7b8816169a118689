"""How images are changed at random while a model is fine-tuned."""

from collections.abc import Sequence
from typing import Any

from mlkit import layers

Augmentation = str | bool | layers.Layer | Sequence[layers.Layer] | None


def augmentation_layers(augment: Augmentation) -> list[layers.Layer]:
    """The layers that `augment` stands for: "light" (or True), "strong", a layer, a list of layers, or None.

    >>> [type(layer).__name__ for layer in augmentation_layers("light")]
    ['RandomFlip', 'RandomRotation', 'RandomZoom']
    """
    if augment is None or augment is False:
        return []
    if augment is True or augment == "light":
        return [layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1)]
    if isinstance(augment, str) and augment == "strong":
        return [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.2),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomBrightness(0.2),
            layers.RandomContrast(0.2),
        ]
    found: Any = [augment] if isinstance(augment, layers.Layer) else augment
    if not isinstance(found, (list, tuple)) or not all(isinstance(layer, layers.Layer) for layer in found):
        raise ValueError(
            f"finetune: `augment` must be None, 'light', 'strong', a layer or a list of layers, but is {augment!r}."
        )
    return list(found)
