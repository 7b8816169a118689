"""Fine-tuning: a pretrained network, a new head, and the steps to train them on images of your own."""

import importlib

_HOME = {
    "FineTuned": "recipe",
    "FreshFeatures": "frozen_features",
    "KeepBest": "keep_best",
    "LearningRateSearch": "rate_search",
    "discriminative_rates": "groups",
    "features": "frozen_features",
    "layer_groups": "groups",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'mlkit.finetuning' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mlkit.finetuning.{_HOME[name]}"), name)


def __dir__():
    return __all__
