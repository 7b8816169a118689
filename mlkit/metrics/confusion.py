"""Counts of outcomes, precision and recall at given thresholds, and the best of one at a given value of the other."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.metrics.metric import Metric
from mlkit.metrics.outcomes import NEVER, OUTCOMES, evenly_spaced, outcome_counts, threshold_list


class OutcomeMetric(Metric):
    """Base of metrics computed from outcomes counted at thresholds: one variable for each kind of outcome."""

    _direction = "up"

    def __init__(
        self,
        thresholds: FloatOrSequence | None,
        outcomes: Sequence[str],
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        top_k: int | None = None,
        class_id: int | None = None,
        variable_name: str | None = None,
    ):
        super().__init__(dtype, name)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self._even = evenly_spaced(thresholds)
        shape = (len(thresholds),)
        self._counts = {o: self.add_variable(shape, "zeros", name=variable_name or o) for o in outcomes}
        for variable in self._counts.values():
            setattr(self, variable.name, variable)

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in targets (0 or not 0) and scores of one shape (batch, ...), and weights of leading axes."""
        variables = list(self._counts.values())
        counts = outcome_counts(
            y_true,
            y_pred,
            self.thresholds,
            sample_weight,
            dtype=variables[0].dtype,
            even=self._even,
            top_k=self.top_k,
            class_id=self.class_id,
        )
        for outcome, variable in self._counts.items():
            variable.assign_add(counts[outcome]())

    def _single(self, values):
        return values[0] if len(self.thresholds) == 1 else values


def share(a: Tensor, b: Tensor) -> Tensor:
    """``a / (a + b)``, 0 where both are 0."""
    return ops.divide_no_nan(a, a + b)


class OutcomeCount(OutcomeMetric):
    """Base of the metrics that count one kind of outcome."""

    outcome = None  # one of OUTCOMES
    _direction = None

    def __init__(self, thresholds: FloatOrSequence | None = None, name: str | None = None, dtype: DTypeOrPolicy = None):
        self.init_thresholds = thresholds
        super().__init__(threshold_list(thresholds, 0.5), (self.outcome,), name, dtype, variable_name="accumulator")

    def result(self) -> Any:
        return self._single(ops.convert_to_tensor(self.accumulator))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(OutcomeCount):
    """Weighted number of positives taken for positives.

    Args:
        thresholds: Above it (0.5 by default) a score means positive; a list gives one count a threshold.
        name, dtype: As in `Metric`.

    Called on targets and scores of one shape, such as (batch, classes); the result is a scalar, or (thresholds,) for a list.

    >>> float(TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
    2.0
    """

    outcome = "true_positives"


class FalsePositives(OutcomeCount):
    """Weighted number of negatives taken for positives; arguments as in `TruePositives`.

    Called on targets and scores of one shape, such as (batch, classes); the result is a scalar, or (thresholds,) for a list.
    """

    outcome = "false_positives"


class TrueNegatives(OutcomeCount):
    """Weighted number of negatives taken for negatives; arguments as in `TruePositives`.

    Called on targets and scores of one shape, such as (batch, classes); the result is a scalar, or (thresholds,) for a list.
    """

    outcome = "true_negatives"


class FalseNegatives(OutcomeCount):
    """Weighted number of positives taken for negatives; arguments as in `TruePositives`.

    Called on targets and scores of one shape, such as (batch, classes); the result is a scalar, or (thresholds,) for a list.
    """

    outcome = "false_negatives"


class _Rate(OutcomeMetric):
    outcomes = ()  # the rate is the first over the sum of both

    def __init__(
        self,
        thresholds: FloatOrSequence | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        self.init_thresholds = thresholds
        limits = threshold_list(thresholds, 0.5 if top_k is None else NEVER)
        super().__init__(limits, self.outcomes, name, dtype, top_k, class_id)

    def result(self) -> Any:
        hits, misses = (self._counts[o].value for o in self.outcomes)
        return self._single(share(hits, misses))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class Precision(_Rate):
    """Share of right ones among the predicted positives: true positives / (true positives + false positives).

    Args:
        thresholds: Above it (0.5 by default) a score means positive; a list gives one value a threshold.
        top_k: Only the k largest scores of each row may be positive; without `thresholds` all of them are.
        class_id: The class (entry of the last axis) that counts; all by default.
        name, dtype: As in `Metric`.

    >>> round(float(Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    outcomes = ("true_positives", "false_positives")


class Recall(_Rate):
    """Share of the positives that are found: true positives / (true positives + false negatives).

    Args:
        thresholds, top_k, class_id, name, dtype: As in `Precision`.

    >>> round(float(Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    outcomes = ("true_positives", "false_negatives")


class _BestUnderConstraint(OutcomeMetric):
    """The largest value of one rate over the thresholds at which another is at least a given value."""

    given, wanted = None, None  # names of rates

    def __init__(
        self,
        value,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__}: `{self.given}` must be in [0, 1], but got {value}.")
        if num_thresholds <= 0:
            raise ValueError(f"{type(self).__name__}: `num_thresholds` must be positive, but got {num_thresholds}.")
        n = num_thresholds - 1
        super().__init__([i / n for i in range(n + 1)] if n else [0.5], OUTCOMES, name, dtype, class_id=class_id)
        self.value, self.num_thresholds = value, num_thresholds

    def _rate(self, name: str | None):
        tp, fp, tn, fn = (self._counts[o].value for o in OUTCOMES)
        if name == "precision":
            return share(tp, fp)
        return share(tn, fp) if name == "specificity" else share(tp, fn)  # sensitivity is another name of recall

    def result(self) -> Any:
        allowed = self._rate(self.given) >= self.value
        return ops.max(ops.where(allowed, self._rate(self.wanted), 0.0))


class SensitivityAtSpecificity(_BestUnderConstraint):
    """Best sensitivity (recall) at a specificity, the share of negatives taken for negatives, of at least a given value.

    Args:
        specificity: In [0, 1].
        num_thresholds: How many thresholds, evenly spaced in [0, 1], are tried.
        class_id: The class (entry of the last axis) that counts; all by default.
        name, dtype: As in `Metric`.

    >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    given, wanted = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_BestUnderConstraint):
    """Best specificity at a sensitivity of at least a given value; other arguments as in `SensitivityAtSpecificity`.

    Args:
        sensitivity: in [0, 1].
    """

    given, wanted = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_BestUnderConstraint):
    """Best precision at a recall of at least a given value; other arguments as in `SensitivityAtSpecificity`.

    Args:
        recall: in [0, 1].
    """

    given, wanted = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_BestUnderConstraint):
    """Best recall at a precision of at least a given value; other arguments as in `SensitivityAtSpecificity`.

    Args:
        precision: in [0, 1].
    """

    given, wanted = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
