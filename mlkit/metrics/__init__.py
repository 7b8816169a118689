"""Metrics: what is watched while training. Classes accumulate over batches, functions give one value a sample."""

import inspect

from mlkit.core.lookup import Lookup
from mlkit.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from mlkit.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from mlkit.metrics.auc import AUC
from mlkit.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from mlkit.metrics.f_score import F1Score, FBetaScore
from mlkit.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from mlkit.metrics.metric import Metric
from mlkit.metrics.of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from mlkit.metrics.reduction import Mean, MeanMetricWrapper, Sum
from mlkit.metrics.regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
    concordance_correlation,
    pearson_correlation,
)

_CLASSES = [v for v in list(globals().values()) if inspect.isclass(v) and issubclass(v, Metric)]
_FUNCTIONS = [v for v in list(globals().values()) if inspect.isfunction(v)]
_ALIASES = {
    "bce": BinaryCrossentropy,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
}
# functions first: a name that a class and a function share gives the class, which accumulates
_lookup = Lookup("metric", [*_FUNCTIONS, *_CLASSES], {**_ALIASES, **{name.upper(): cls for name, cls in _ALIASES.items()}})

__all__ = [*(o.__name__ for o in (*_CLASSES, *_FUNCTIONS)), "deserialize", "get", "serialize"]


def serialize(metric):
    """A metric (object or function) as plain data: a dict, or a name."""
    from mlkit import saving

    return saving.serialize_keras_object(metric)


def deserialize(config, custom_objects=None):
    """The metric that `serialize` wrote down. custom_objects: name -> class or function of one's own."""
    return _lookup.deserialize(config, custom_objects)


def get(identifier):
    """A metric by name, config dict, class, or the object itself; None for None.

    >>> type(get("mse")).__name__, type(get("AUC")).__name__
    ('MeanSquaredError', 'AUC')
    """
    return _lookup.get(identifier)
