"""Pictures of training and of what a model sees: plain HTML that notebooks show, and matplotlib figures where it is installed.

Every picture has `figure()`, a matplotlib figure, and `save(path)`; in a notebook it shows itself.
"""

import importlib

_HOME = {
    "ConfusionMatrix": "confusion",
    "Gallery": "gallery",
    "LineChart": "charts",
    "Page": "picture",
    "Picture": "picture",
    "Predictions": "predictions",
    "confusion_matrix": "confusion",
    "grad_cam": "activation_maps",
    "learning_curves": "charts",
    "predictions_of": "predictions",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'mlkit.visualization' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mlkit.visualization.{_HOME[name]}"), name)


def __dir__():
    return __all__
