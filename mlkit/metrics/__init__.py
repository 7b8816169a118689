"""Metrics: what is watched while training. Classes accumulate over batches, functions give one value a sample."""

from typing import Any

from mlkit.core.lazy_import import offer
from mlkit.core.typing import Identifier
from mlkit.objects.lookup import Lookup

_FUNCTIONS = {
    "mlkit.losses": (
        "binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
        "categorical_hinge hinge huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error "
        "mean_squared_error mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge"
    ),
    ".accuracy": (
        "binary_accuracy categorical_accuracy sparse_categorical_accuracy sparse_top_k_categorical_accuracy "
        "top_k_categorical_accuracy"
    ),
    ".regression": "concordance_correlation pearson_correlation",
}
_CLASSES = {
    ".accuracy": (
        "Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy SparseTopKCategoricalAccuracy "
        "TopKCategoricalAccuracy"
    ),
    ".auc": "AUC",
    ".confusion": (
        "FalseNegatives FalsePositives Precision PrecisionAtRecall Recall RecallAtPrecision SensitivityAtSpecificity "
        "SpecificityAtSensitivity TrueNegatives TruePositives"
    ),
    ".f_score": "F1Score FBetaScore",
    ".iou": "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
    ".metric": "Metric",
    ".of_losses": (
        "BinaryCrossentropy CategoricalCrossentropy CategoricalHinge Hinge KLDivergence LogCoshError MeanAbsoluteError "
        "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy "
        "SquaredHinge"
    ),
    ".reduction": "Mean MeanMetricWrapper Sum",
    ".regression": "ConcordanceCorrelation CosineSimilarity PearsonCorrelation R2Score RootMeanSquaredError",
}
_ALIASES = {
    "bce": "BinaryCrossentropy",
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
}
# functions first: a name that a class and a function share gives the class, which accumulates
_NAMES = " ".join((*_FUNCTIONS.values(), *_CLASSES.values())).split()
_lookup = Lookup("metric", __name__, _NAMES, {**_ALIASES, **{short.upper(): name for short, name in _ALIASES.items()}})

_HOMES = {module: f"{_FUNCTIONS.get(module, '')} {_CLASSES.get(module, '')}" for module in (*_FUNCTIONS, *_CLASSES)}
_offered, __getattr__, __dir__ = offer(__name__, _HOMES)
__all__ = [*_offered, "deserialize", "get", "serialize"]


def serialize(metric: Any) -> Any:
    """A metric (object or function) as plain data: a dict, or a name."""
    return _lookup.serialize(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric that `serialize` wrote down. custom_objects: name -> class or function of one's own."""
    return _lookup.deserialize(config, custom_objects)


def get(identifier: Identifier) -> Any:
    """A metric by name, config dict, class, or the object itself; None for None.

    >>> type(get("mse")).__name__, type(get("AUC")).__name__
    ('MeanSquaredError', 'AUC')
    """
    return _lookup.get(identifier)
