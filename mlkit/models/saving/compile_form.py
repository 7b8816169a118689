"""The arguments of `compile` as config, and a model compiled from it."""

import warnings

from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object


def compile_config(model):
    """The arguments the model was compiled with, the optimizer as it is now; {} if it was not compiled."""
    from mlkit.optimizers import LossScaleOptimizer

    arguments = model._training.get("arguments") if model.compiled else None
    if not arguments:
        return {}
    optimizer = model.optimizer
    if isinstance(optimizer, LossScaleOptimizer) and not isinstance(arguments["optimizer"], LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer  # compile() put the scaling around it, and will again
    return serialize_keras_object({**arguments, "optimizer": optimizer})


def compile_from_config(model, config):
    """Compile a model with what `compile_config` returned, and make the optimizer's variables.

    A model with a `compile` of its own is left alone, with a warning: what the arguments mean is its own matter.
    """
    from mlkit.models.trainer import Trainer

    if type(model).compile is not Trainer.compile:
        warnings.warn(
            f"`compile()` was not called as part of model loading because the model's `compile()` method is custom: "
            f"{type(model).__name__} overrides it. Override get_compile_config() and compile_from_config(config) too, or call "
            "compile() after loading.",
            stacklevel=3,
        )
        return
    model.compile(**deserialize_keras_object(config))
    if model.optimizer is not None and model.built:
        model.optimizer.build(model.trainable_variables)
