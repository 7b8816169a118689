"""Distillation: a small model learns from the outputs of a large one (Hinton, Vinyals and Dean, 2015)."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".distillation_loss": "DistillationLoss FeatureDistillation LogitsDistillation",
        ".distiller": "Distiller",
    },
)
