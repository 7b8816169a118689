"""Fine-tuning: a pretrained network, a new head, and the steps to train them on images of your own."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".cross_validation": "cross_validated",
        ".folds": "Folds",
        ".frozen_features": "FreshFeatures features",
        ".groups": "discriminative_rates layer_groups",
        ".keep_best": "KeepBest",
        ".photo_data": "photo_datasets",
        ".rate_search": "LearningRateSearch",
        ".several_runs": "SeveralRuns finetune_several",
        ".recipe": "FineTuned",
        ".recorder": "Recorder",
    },
)
