"""mlkit: a Keras-style deep-learning library that carries its own engine.

``import mlkit as keras`` runs Keras code. Names are imported when they are first used.
"""

import importlib

__version__ = "0.1.0"

_MODULES = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "datasets", "dtype_policies", "finetuning",
    "initializers", "layers",
    "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "preprocessing", "random", "regularizers", "saving",
    "tree", "utils",
    "visualization",
)  # fmt: skip
_NAMES = {  # public name -> module that defines it
    "Tensor": "core.tensor",
    "Variable": "core.variable",
    "KerasTensor": "core.keras_tensor",
    "Operation": "core.operation",
    "GradientTape": "core.autograd",
    "grad": "core.autograd",
    "value_and_grad": "core.autograd",
    "custom_gradient": "core.autograd",
    "stop_gradient": "ops",
    "function": "core.trace",
    "device": "core.backend",
    "name_scope": "core.names",
    "Function": "models.function",
    "Model": "models.model",
    "Sequential": "models.sequential",
    "Layer": "layers.layer",
    "InputSpec": "layers.input_spec",
    "Input": "layers.input_layer",
    "Initializer": "initializers",
    "Regularizer": "regularizers",
    "Optimizer": "optimizers",
    "Loss": "losses",
    "Metric": "metrics",
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "StatelessScope": "core.stateless",
    "profile": "models.profile",
    "verify": "models.verify",
    "show_config": "config",
    "lr_find": "finetuning.rate_search",
    "finetune": "finetuning.recipe",
}
__all__ = sorted({*_MODULES, *_NAMES})


def version():
    """The version of mlkit."""
    return __version__


def __getattr__(name):
    if name in _NAMES:
        value = getattr(importlib.import_module(f"mlkit.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"mlkit.{name}")
    else:
        raise AttributeError(f"module 'mlkit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
