"""Predictions of photos by models that have not seen them: heads that are trained on all parts but one."""

import numpy as np

from mlkit import Input, Model, Sequential, layers
from mlkit.data.class_split import fold_numbers
from mlkit.finetuning.frozen_features import features
from mlkit.losses import SparseCategoricalCrossentropy
from mlkit.optimizers import Adam
from mlkit.visualization.confusion import as_classes
from mlkit.visualization.predictions import Predictions


def cross_validated(
    model, data, class_names=None, folds: int = 5, epochs: int = 20, learning_rate: float = 3e-3, seed: int = 0
):
    """What heads say of the photos that they were not trained on, for all photos: to find labels that are likely wrong.

    The network before the model's last Dense layer computes features once. The photos are parted by class into `folds` parts; for each
    a head is trained on the others, and says what it thinks of this one.

    Args:
        model: an image classifier, such as `finetune` gives.
        data: an image folder's data set, or a tuple (images, labels).
        class_names: names; those of the data unless given.
        folds: parts.
        epochs, learning_rate: of each head.
        seed: of the parts and of the heads.

    Returns:
        `Predictions`, whose `to_clean()` lists the photos whose labels are likely wrong.
    """
    x, y, paths = _read(model, data)
    names = class_names or getattr(data, "class_names", None) or model.class_names
    classes = max(len(names or ()), int(y.max()) + 1)
    if not 2 <= folds <= len(y):
        raise ValueError(f"cross_validated: `folds` must be from 2 to the number of photos, {len(y)}, but is {folds}.")
    part = fold_numbers(y, folds, seed)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = (x - mean) / spread
    probabilities = np.zeros((len(y), classes), "float32")
    for k in range(folds):
        rest, held = np.flatnonzero(part != k), np.flatnonzero(part == k)
        if not len(held):
            continue
        start = layers.Dense(classes, kernel_initializer="zeros")
        head = Sequential([Input(x.shape[1:]), layers.Dropout(0.2, seed=seed + k), start, layers.Softmax()])
        head.compile(Adam(learning_rate), SparseCategoricalCrossentropy())
        order = np.random.default_rng([seed, k]).permutation(rest)
        head.fit(x[order], y[order], batch_size=32, epochs=epochs, shuffle=False, verbose=0, check=False)
        probabilities[held] = head.predict(x[held], verbose=0)
    return Predictions(probabilities, y, names, [], paths)


def _read(model, data):
    """(features, class numbers, paths or None) of all photos."""
    last = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    if not last:
        raise ValueError(f"cross_validated: model {model.name!r} has no Dense layer before which its features are.")
    trunk = Model(model.input, last[-1].input)
    if hasattr(data, "with_paths"):
        rows, labels, paths = [], [], []
        for images, y, files in data.with_paths():
            rows.append(np.array(trunk.predict_on_batch(images)))
            labels.append(as_classes(y))
            paths += files
        return np.concatenate(rows), np.concatenate(labels), paths
    x, y = features(trunk, *data) if isinstance(data, (tuple, list)) else features(trunk, data)
    return x.reshape(len(x), -1), as_classes(y), None
