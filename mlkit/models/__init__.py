"""Models: the namespace `keras.models`."""

import importlib

_WHERE = {
    "Model": "model",
    "Sequential": "sequential",
    "Functional": "functional",
    "Function": "function",
    "clone_model": "clone",
    "model_from_json": "clone",
    "load_model": "saving.keras_file",
    "save_model": "saving.keras_file",
}
__all__ = sorted(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        value = getattr(importlib.import_module(f"mlkit.models.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mlkit.models' has no attribute {name!r}")


def __dir__():
    return __all__
