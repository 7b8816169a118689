"""Models: the namespace `keras.models`."""

from mlkit.core.offer import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".model": "Model",
        ".sequential": "Sequential",
        ".functional": "Functional",
        ".function": "Function",
        ".clone": "clone_model model_from_json",
        ".saving.keras_file": "load_model save_model",
    },
)
