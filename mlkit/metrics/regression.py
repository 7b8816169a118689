"""Metrics of regression that are no mean of a loss: root mean square, cosine, correlation, coefficient of determination."""

import warnings
from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses import cosine_similarity as negated_cosine
from mlkit.losses.reduce import as_pair
from mlkit.metrics.metric import Metric
from mlkit.metrics.reduction import Mean, MeanMetricWrapper


class RootMeanSquaredError(Mean):
    """Square root of the mean of ``(y_true - y_pred)²``.

    Args:
        name, dtype: As in `Metric`.

    Called on targets and predictions of one shape; the result is a scalar.

    >>> float(RootMeanSquaredError()([0.0, 0.0], [3.0, -3.0]))
    3.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: DTypeOrPolicy = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in targets and predictions of one shape."""
        y_true, y_pred = as_pair(y_true, ops.convert_to_tensor(y_pred, dtype=self.accumulator_dtype))
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self) -> Any:
        return ops.cast(ops.sqrt(self._mean()), self.dtype)


def cosine_similarity(y_true: TensorLike, y_pred: TensorLike, axis: Axis = -1) -> Tensor:
    """Cosine of the angle between targets and predictions along an axis (the loss of this name is its negative)."""
    return -negated_cosine(y_true, y_pred, axis=axis)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between targets and predictions: 1 for parallel vectors. axis: where the vectors lie.

    >>> round(float(CosineSimilarity()([[1.0, 0.0]], [[2.0, 2.0]])), 4)
    0.7071
    """

    _direction = "up"
    unlisted = ("axis",)

    def __init__(self, name: str | None = "cosine_similarity", dtype: DTypeOrPolicy = None, axis: Axis = -1):
        super().__init__(cosine_similarity, name, dtype, axis=axis)


def pearson_correlation(y_true: TensorLike, y_pred: TensorLike, axis: Axis = -1) -> Tensor:
    """Correlation coefficient of targets and predictions along an axis, in [-1, 1]; NaN where one of them is constant.

    >>> round(float(pearson_correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])), 4)
    1.0
    """
    y_true, y_pred = (x - ops.mean(x, axis=axis, keepdims=True) for x in as_pair(y_true, y_pred))
    y_true, y_pred = (x / ops.std(x, axis=axis, keepdims=True) for x in (y_true, y_pred))
    return ops.mean(y_true * y_pred, axis=axis)


def concordance_correlation(y_true: TensorLike, y_pred: TensorLike, axis: Axis = -1) -> Tensor:
    """Agreement of targets and predictions along an axis: correlation that also asks for equal mean and variance.

    L. Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989.

    >>> round(float(concordance_correlation([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])), 4)
    0.5714
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    mean_true, mean_pred = (ops.mean(x, axis=axis, keepdims=True) for x in (y_true, y_pred))
    y_true, y_pred = y_true - mean_true, y_pred - mean_pred
    spread = ops.mean(ops.square(y_true) + ops.square(y_pred), axis=axis, keepdims=True) + ops.square(mean_true - mean_pred)
    return ops.mean(2.0 * y_true * y_pred / (spread + epsilon()), axis=axis)


class PearsonCorrelation(MeanMetricWrapper):
    """Mean of `pearson_correlation`. axis: along which the values are correlated, the last by default."""

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: DTypeOrPolicy = None, axis: Axis = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean of `concordance_correlation`. axis: along which the values are compared, the last by default."""

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: DTypeOrPolicy = None, axis: Axis = -1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)


class R2Score(Metric):
    """Coefficient of determination: 1 - residual sum of squares / total sum of squares of the targets.

    Args:
        class_aggregation: How the scores of the outputs become one: ``"uniform_average"``,
            ``"variance_weighted_average"``, or None for one score an output.
        num_regressors: Number of independent regressors, for the adjusted score; 0 gives the plain one.
        name, dtype: As in `Metric`.

    Called on targets and predictions (batch, outputs); the result is a scalar, or (outputs,) with class_aggregation=None.

    >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(dtype, name)
        aggregations = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in aggregations:
            raise ValueError(f"R2Score: `class_aggregation` must be one of {aggregations}, but got {class_aggregation!r}.")
        if num_regressors < 0:
            raise ValueError(f"R2Score: `num_regressors` must not be negative, but got {num_regressors}.")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, y_true_shape, y_pred_shape):
        if len(y_true_shape) != 2 or len(y_pred_shape) != 2 or not isinstance(y_pred_shape[1], int):
            raise ValueError(
                "R2Score expects y_true and y_pred of shape (batch, outputs) with a known number of outputs, but got "
                f"{show(y_true_shape)} and {show(y_pred_shape)}. Reshape them, e.g. with mlkit.ops.reshape(y, (-1, outputs))."
            )
        outputs = (y_pred_shape[1],)
        self.squared_sum = self.add_variable(outputs, "zeros", name="squared_sum")
        self.sum = self.add_variable(outputs, "zeros", name="sum")
        self.total_mse = self.add_variable(outputs, "zeros", name="residual")
        self.count = self.add_variable(outputs, "zeros", name="count")
        self._built = True

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in targets and predictions of shape (batch, outputs), weights of shape (batch,) or (batch, outputs)."""
        y_true, y_pred = as_pair(y_true, ops.convert_to_tensor(y_pred, dtype=self.accumulator_dtype))
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
        weight = ops.convert_to_tensor(1.0 if sample_weight is None else sample_weight, dtype=self.accumulator_dtype)
        weight = ops.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        self.sum.assign_add(ops.sum(y_true * weight, axis=0))
        self.squared_sum.assign_add(ops.sum(ops.square(y_true) * weight, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        self.num_samples.assign_add(ops.size(y_true))

    def result(self) -> Any:
        total = self.squared_sum - self.sum * (self.sum / self.count)
        scores = 1.0 - self.total_mse / total
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(total * scores) / ops.sum(total)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, score):
        """Corrected for the number of regressors; the plain score where there are too few samples for that."""
        freedom = self.num_samples - self.num_regressors - 1.0
        enough = freedom > 0
        if enough.is_concrete and not enough:
            warnings.warn(
                f"R2Score: {int(self.num_samples)} samples are too few for the adjusted score with {self.num_regressors} "
                "regressors; the plain score is returned.",
                stacklevel=4,
            )
        adjusted = 1.0 - (1.0 - score) * (self.num_samples - 1.0) / ops.where(enough, freedom, 1.0)
        return ops.where(enough, adjusted, score)
