"""Metrics that are the running mean of a loss function."""

from mlkit import losses
from mlkit.core.typing import Axis
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.metrics.reduction import MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """Mean of `mlkit.losses.mean_squared_error`.

    Args:
        name, dtype: As in `Metric`.

    >>> float(MeanSquaredError()([[0.0], [2.0]], [[1.0], [2.0]]))
    0.5
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: DTypeOrPolicy = None):
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of `mlkit.losses.mean_absolute_error`."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: DTypeOrPolicy = None):
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of `mlkit.losses.mean_absolute_percentage_error`."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: DTypeOrPolicy = None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of `mlkit.losses.mean_squared_logarithmic_error`."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: DTypeOrPolicy = None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """Mean of `mlkit.losses.log_cosh`."""

    def __init__(self, name: str | None = "logcosh", dtype: DTypeOrPolicy = None):
        super().__init__(losses.log_cosh, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """Mean of `mlkit.losses.kl_divergence`."""

    def __init__(self, name: str | None = "kl_divergence", dtype: DTypeOrPolicy = None):
        super().__init__(losses.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """Mean of `mlkit.losses.poisson`."""

    def __init__(self, name: str | None = "poisson", dtype: DTypeOrPolicy = None):
        super().__init__(losses.poisson, name, dtype)


class Hinge(MeanMetricWrapper):
    """Mean of `mlkit.losses.hinge`."""

    def __init__(self, name: str | None = "hinge", dtype: DTypeOrPolicy = None):
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """Mean of `mlkit.losses.squared_hinge`."""

    def __init__(self, name: str | None = "squared_hinge", dtype: DTypeOrPolicy = None):
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """Mean of `mlkit.losses.categorical_hinge`."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: DTypeOrPolicy = None):
        super().__init__(losses.categorical_hinge, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """Mean of `mlkit.losses.binary_crossentropy`. from_logits, label_smoothing: as there.

    Args:
        label_smoothing: in [0, 1]: targets are moved that far towards 1/2.
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: DTypeOrPolicy = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        options = dict(from_logits=from_logits, label_smoothing=label_smoothing)
        super().__init__(losses.binary_crossentropy, name, dtype, **options)


class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean of `mlkit.losses.categorical_crossentropy`. from_logits, label_smoothing, axis: as there.

    Args:
        label_smoothing: in [0, 1]: targets are moved that far towards equal probabilities.
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: DTypeOrPolicy = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: Axis = -1,
    ):
        options = dict(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
        super().__init__(losses.categorical_crossentropy, name, dtype, **options)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean of `mlkit.losses.sparse_categorical_crossentropy`. from_logits, ignore_class, axis: as there.

    Without sample weights ignored entries count as zeros in the mean, as in Keras.

    Args:
        ignore_class: a label that does not count, such as -1, or None.
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: DTypeOrPolicy = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: Axis = -1,
    ):
        options = dict(from_logits=from_logits, ignore_class=ignore_class, axis=axis)
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **options)
