"""Models: the namespace `keras.models`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".model": "Functional Model",
        ".image_task": "ImageTask",
        ".answers": "Answer answers_of classify",
        ".sequential": "Sequential",
        ".function": "Function",
        ".clone": "clone_model model_from_json",
        ".keras_loader": "load_model",
        ".saving": "save_model",
    },
)
