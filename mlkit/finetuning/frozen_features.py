"""What a frozen network makes of a data set, computed once."""

import numpy as np


def features(trunk, x, y=None, sample_weight=None, batch_size=None):
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
    from mlkit import data

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
