"""Image classifiers, one file per family, under the names of `keras.applications`: models and the modules they stand in."""

import importlib

_MODELS = {  # module -> the models it shows here
    "mobilenet_v2": ("MobileNetV2",),
    "resnet": ("ResNet50", "ResNet101", "ResNet152"),
    "resnet_v2": ("ResNet50V2", "ResNet101V2", "ResNet152V2"),
}
_MODULES = {*_MODELS, "imagenet_utils", "resnet50"}
_HOME = {model: module for module, models in _MODELS.items() for model in models}

__all__ = sorted({*_MODULES, *_HOME})


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f"mlkit.applications.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"mlkit.applications.{name}")
    else:
        raise AttributeError(f"module 'mlkit.applications' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return __all__
