"""Search for hyper-parameters, with KerasTuner's names. The engine is Optuna (`pip install optuna`)."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".hyperparameters": "HyperParameters",
        ".hypermodel": "HyperModel",
        ".objective": "Objective",
        ".searches": "BayesianOptimization GridSearch Hyperband RandomSearch",
        ".trial": "Trial",
        ".tuner": "Tuner",
    },
)
