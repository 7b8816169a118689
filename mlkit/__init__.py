"""mlkit: a Keras-style deep-learning library that carries its own engine.

``import mlkit as keras`` runs Keras code. Names are imported when they are first used.
"""

import os

from mlkit.core.lazy_import import offer

__version__ = "0.1.0"

# In a checkout `backends/` and `applications/` lie beside this folder; an installed package has them within.
_beside = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if not os.path.isdir(os.path.join(__path__[0], "backends")) and os.path.isdir(os.path.join(_beside, "backends", "native")):
    __path__.append(_beside)

_HOMES = {
    ".": (
        "activations applications backend callbacks config constraints data datasets debugger distillation distribution dtype_policies "
        "export finetuning initializers layers legacy losses metrics mixed_precision models ops optimizers preprocessing random "
        "regularizers saving serving tree tuner utils visualization wrappers"
    ),
    ".ops.operators": "Tensor Variable KerasTensor",  # from there, because without it they have no operators
    ".objects.operation": "Operation",
    ".ops.gradients": "GradientTape grad value_and_grad custom_gradient function",
    ".ops.mapping": "vmap",
    ".ops.rematerialization": "remat",
    ".layers.remat": "RematScope",
    ".ops.linalg.forward_mode": "jvp",
    ".ops": "stop_gradient",
    ".core.backend": "device",
    ".core.names": "name_scope",
    ".models.function": "Function",
    ".models.model": "Model",
    ".models.sequential": "Sequential",
    ".layers.layer": "Layer",
    ".layers.input_spec": "InputSpec",
    ".layers.input_layer": "Input",
    ".initializers": "Initializer",
    ".regularizers": "Regularizer",
    ".optimizers": "Optimizer",
    ".losses": "Loss",
    ".metrics": "Metric",
    ".dtype_policies": "DTypePolicy FloatDTypePolicy",
    ".objects.stateless": "StatelessScope",
    ".models.profile": "profile",
    ".models.verify": "verify",
    ".about": "show_config",
    ".debugger.open": "debug",
    ".finetuning.rate_search": "lr_find",
    ".finetuning.recipe": "finetune",
}
_ABSENT = {  # of Keras
    "quantizers": "weights are not quantized. See docs/keras_differences.md.",
    "Quantizer": "weights are not quantized. See docs/keras_differences.md.",
    "SymbolicScope": "ops run on shapes by themselves: compute without a scope.",
}
__all__, __getattr__, __dir__ = offer(__name__, _HOMES, _ABSENT)


def version() -> str:
    """The version of mlkit."""
    return __version__
