"""What scripts share: a list of them, weights that do not depend on who makes them, and small data."""

import numpy as np

SCRIPTS = []


def script(function):
    """Decorator of `function(keras)`, a training script that returns the numbers it would print."""
    SCRIPTS.append(function)
    return function


def with_weights(model, seed=0):
    """The model with first weights that follow from their shapes and order alone."""
    rng = np.random.default_rng(seed)
    model.set_weights([_first(w, rng) for w in model.get_weights()])
    return model


def _first(w, rng):
    if not np.issubdtype(w.dtype, np.floating):
        return w
    if w.ndim >= 2:
        return rng.normal(size=w.shape) / np.sqrt(np.prod(w.shape[:-1]))
    return w  # biases, statistics, scales


def pictures(count=48, size=12, classes=3, seed=0):
    """Bright squares on dim noise; the class is the third of the picture that the square lies in."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.3, (count, size, size, 1)).astype("float32")
    y = rng.integers(0, classes, count)
    for image, label in zip(x, y):
        left = label * size // classes
        image[2:6, left : left + size // classes] += 0.6
    return x, y


def numbers(history):
    """The logs of `fit`, by name."""
    return [[float(v) for v in history.history[name]] for name in sorted(history.history)]
