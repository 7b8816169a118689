"""F-scores: the weighted harmonic mean of precision and recall, a class at a time."""

from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.spec import show
from mlkit.core.typing import Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.metrics.metric import Metric


class FBetaScore(Metric):
    """F-beta score ``(1 + b²) precision recall / (b² precision + recall)`` of a multi-class or multi-label classifier.

    van Rijsbergen, "Information Retrieval", 1979.

    Args:
        average: How the scores of the classes become one: None (one score a class), ``"micro"`` (counts of all classes
            together), ``"macro"`` (plain mean), ``"weighted"`` (mean weighted by how often a class is true).
        beta: Weight of recall against precision, a positive float.
        threshold: Above it, a float in (0, 1], a prediction means yes; None takes each sample's largest prediction.
        name, dtype: As in `Metric`.

    Called on targets and predictions (batch, classes); the result is a scalar, without an average (classes,).

    >>> m = FBetaScore(beta=2.0, threshold=0.5)
    >>> m([[1, 1], [1, 0]], [[0.2, 0.6], [0.6, 0.8]]).numpy().round(4)
    array([0.5556, 0.8333], dtype=float32)
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"FBetaScore: `average` must be None, 'micro', 'macro' or 'weighted', but got {average!r}.")
        if not isinstance(beta, float) or beta <= 0.0:
            raise ValueError(f"FBetaScore: `beta` must be a float above 0, but got {beta!r}.")
        if threshold is not None and not (isinstance(threshold, float) and 0.0 < threshold <= 1.0):
            raise ValueError(f"FBetaScore: `threshold` must be None or a float in (0, 1], but got {threshold!r}.")
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def _build(self, y_true_shape, y_pred_shape):
        if len(y_true_shape) != 2 or len(y_pred_shape) != 2 or not isinstance(y_pred_shape[1], int):
            raise ValueError(
                "FBetaScore expects y_true and y_pred of shape (batch, classes) with a known number of classes, but got "
                f"{show(y_true_shape)} and {show(y_pred_shape)}. Make class numbers one-hot with mlkit.utils.to_categorical."
            )
        shape = () if self.average == "micro" else (y_pred_shape[1],)
        self.true_positives = self.add_variable(shape, "zeros", dtype=self.accumulator_dtype, name="true_positives")
        self.false_positives = self.add_variable(shape, "zeros", dtype=self.accumulator_dtype, name="false_positives")
        self.false_negatives = self.add_variable(shape, "zeros", dtype=self.accumulator_dtype, name="false_negatives")
        self.intermediate_weights = self.add_variable(shape, "zeros", dtype=self.accumulator_dtype, name="intermediate_weights")
        self._built = True

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> Any:
        """Take in one-hot (or multi-hot) targets and predictions of shape (batch, classes), weights of shape (batch,)."""
        y_true = ops.convert_to_tensor(y_true, dtype=self.accumulator_dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.accumulator_dtype)
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
        said = ops.cast(self._decide(y_pred), self.accumulator_dtype)
        weight = 1.0 if sample_weight is None else ops.convert_to_tensor(sample_weight, dtype=self.accumulator_dtype)[:, None]

        def total(x):
            return ops.sum(x * weight, axis=None if self.average == "micro" else 0)

        self.true_positives.assign_add(total(said * y_true))
        self.false_positives.assign_add(total(said * (1.0 - y_true)))
        self.false_negatives.assign_add(total((1.0 - said) * y_true))
        self.intermediate_weights.assign_add(total(y_true))

    def _decide(self, y_pred):
        if self.threshold is not None:
            return y_pred > self.threshold
        best = y_pred >= ops.max(y_pred, axis=-1, keepdims=True)
        return ops.logical_and(best, ops.abs(y_pred) > 1e-9)  # a row of zeros says no class at all

    def result(self) -> Any:
        precision = self.true_positives / (self.true_positives + self.false_positives + epsilon())
        recall = self.true_positives / (self.true_positives + self.false_negatives + epsilon())
        b2 = self.beta**2
        score = (1.0 + b2) * precision * recall / (b2 * precision + recall + epsilon())
        if self.average == "weighted":
            weights = self.intermediate_weights / (ops.sum(self.intermediate_weights) + epsilon())
            return ops.sum(score * weights)
        return score if self.average is None else ops.mean(score)


class F1Score(FBetaScore):
    """F-score with precision and recall on a par: `FBetaScore` with beta = 1. average, threshold: as there.

    Called on targets and predictions (batch, classes); the result is a scalar, without an average (classes,).
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)
