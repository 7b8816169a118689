"""What a frozen network makes of a data set: computed once, or anew in each epoch."""

import numpy as np

from mlkit import data
from mlkit.core.function import function


def features(trunk, x, y=None, sample_weight=None, batch_size: int | None = None):
    """Run a frozen network over a data set once, to train a head on what it gives.

    The network computes the same for the same image as long as nothing in it trains and nothing augments the images, so the
    epochs of the head need not run it again: they take its features from memory (4 bytes a number: 5 MB for 1,000 images of
    1,280 features).

    Args:
        trunk: a model; it runs as in inference.
        x, y, sample_weight, batch_size: data, as `fit` takes it.

    Returns:
        `(features, y)`, or `(features, y, sample_weight)` where there are weights: NumPy arrays, for `fit`.

    >>> import mlkit
    >>> trunk = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3)])
    >>> rows, labels = features(trunk, np.ones((5, 4), "float32"), np.arange(5), batch_size=2)
    >>> rows.shape, labels
    ((5, 3), array([0, 1, 2, 3, 4]))
    """
    rows, targets, weights = [], [], []
    for bx, by, bw in data.get_adapter(x, y, sample_weight, batch_size).epoch(0):
        rows.append(np.array(trunk.predict_on_batch(bx)))
        targets.append(by)
        weights.append(bw)
    if not rows:
        raise ValueError("features: the data has no batches.")
    if targets[0] is None:
        raise ValueError("features: the data has no targets, but a head is to be trained on them.")
    labelled = np.concatenate(rows), np.concatenate(targets)
    return labelled if weights[0] is None else (*labelled, np.concatenate(weights))


class FreshFeatures:
    """What a frozen network makes of a data set whose images change from epoch to epoch, batch by batch, for `fit`.

    The head trains on it as it would behind the network, and can be validated on `features`, which are computed once, since
    images of validation do not change.

    Args:
        trunk: a model, its weights frozen; it runs as in training, so that it augments images.
        x, y, sample_weight, batch_size: data, as `fit` takes it. Arrays are visited in a new order in each epoch.

    >>> import mlkit
    >>> trunk = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.GaussianNoise(0.1)])
    >>> fresh = FreshFeatures(trunk, np.ones((5, 4), "float32"), np.arange(5), batch_size=2)
    >>> len(fresh), [rows.shape for rows, _ in fresh]
    (3, [(2, 4), (2, 4), (1, 4)])
    """

    def __init__(self, trunk, x, y=None, sample_weight=None, batch_size: int | None = None):
        shuffle = y is not None
        # with a seed of its own, pass number i has the same order whether the passes before it were run or not
        seed = int(np.random.randint(2**31 - 1)) if shuffle else None
        self._batches = data.get_adapter(x, y, sample_weight, batch_size, shuffle, seed=seed)
        self._run = function(lambda images: trunk(images, training=True))

    def __len__(self) -> int:
        return self._batches.num_batches

    def __iter__(self):
        return self.epoch(0)

    def epoch(self, index):
        """The batches of pass number `index`: (features, y), or (features, y, sample_weight)."""
        for images, y, sample_weight in self._batches.epoch(index):
            rows = self._run(images)
            yield (rows, y) if sample_weight is None else (rows, y, sample_weight)
