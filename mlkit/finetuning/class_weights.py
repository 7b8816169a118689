"""Weights of classes, for photos of which some classes are rare."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlkit.finetuning.labelled import Labelled


def class_weights(wanted: str | Mapping[Any, float] | None, data: Labelled) -> dict[int, float] | None:
    """Number of the class -> weight, for `fit`.

    wanted: None; "balanced", so that each class counts as much as any other; or a dict by number or name of the class, where those
    left out weigh 1.
    """
    if wanted is None:
        return None
    if data.head.task != "classification":
        raise ValueError(f"finetune: `class_weight` is for one class a photo; this is {data.head.task}. Leave it out.")
    count = data.head.units if data.head.units > 1 else 2
    if isinstance(wanted, str):
        if wanted != "balanced":
            raise ValueError(f"finetune: `class_weight` must be 'balanced' or a dict, but is {wanted!r}.")
        seen = np.bincount(_labels(data), minlength=count)
        return {k: round(float(seen.sum() / (count * n)), 4) for k, n in enumerate(seen) if n}
    if not isinstance(wanted, Mapping):
        raise ValueError(f"finetune: `class_weight` must be 'balanced' or a dict, but is {wanted!r}.")
    names = list(data.class_names or [])
    weights = dict.fromkeys(range(count), 1.0)
    for key, weight in wanted.items():
        number = names.index(key) if key in names else key
        if number not in weights:
            raise ValueError(f"finetune: `class_weight` names {key!r}, which is no class: {names or f'0 to {count - 1}'}.")
        if not (isinstance(weight, (int, float, np.number)) and np.isfinite(weight) and weight >= 0):
            raise ValueError(f"finetune: `class_weight` of {key!r} must be a number of 0 or more, but is {weight!r}.")
        weights[int(number)] = float(weight)
    return weights


def _labels(data):
    """The class numbers of all training images."""
    labels = np.asarray(data.train[1]) if data.is_arrays else getattr(data.train, "labels", None)
    if labels is None:
        raise ValueError("finetune: for class_weight='balanced' all labels must be known: pass a dict for data like these.")
    labels = np.asarray(labels)
    if labels.ndim == 2:
        labels = labels.argmax(axis=1) if labels.shape[1] > 1 else labels[:, 0]
    return labels.astype(int)
