"""Area under a curve that the threshold of a classifier draws, by Riemann sums over many thresholds."""

from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.spec import show
from mlkit.core.typing import FloatOrSequence, Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.reduce import as_single
from mlkit.metrics.confusion import share
from mlkit.metrics.metric import Metric
from mlkit.metrics.outcomes import OUTCOMES, evenly_spaced, outcome_counts

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """Area under the ROC, precision-recall or precision-recall-gain curve of a binary or multi-label classifier.

    Args:
        num_thresholds: How many thresholds the curve is drawn with; more is more exact.
        curve: ``"ROC"`` (recall over false positive rate), ``"PR"`` (precision over recall) or ``"PRGAIN"`` (P. Flach and
            M. Kull, "Precision-Recall-Gain Curves: PR Analysis Done Right", 2015).
        summation_method: Height of the curve between two thresholds: ``"interpolation"`` (the middle; for PR by J. Davis and
            M. Goadrich, "The relationship between Precision-Recall and ROC curves", 2006), ``"minoring"`` or ``"majoring"``.
        name, dtype: As in `Metric`.
        thresholds: The inner thresholds, floats in [0, 1], in place of `num_thresholds` evenly spaced ones.
        multi_label: Whether to average the areas of the labels (last axis) instead of counting all entries as one.
        num_labels: Number of labels, if `multi_label`; by default taken from the first batch.
        label_weights: Weights of the labels, in the average or, without `multi_label`, of their entries.
        from_logits: Whether scores are logits, to be put through a sigmoid.

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        thresholds: FloatOrSequence | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: TensorLike | None = None,
        from_logits: bool = False,
    ):
        self.curve = _one_of("curve", str(curve).upper(), CURVES)
        self.summation_method = _one_of("summation_method", str(summation_method).lower(), SUMMATIONS)
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"AUC: `num_thresholds` must be above 1, but got {num_thresholds}.")
        if num_labels and not multi_label:
            raise ValueError("AUC: `num_labels` is needed only when `multi_label=True`.")
        super().__init__(dtype, name)
        n = num_thresholds - 1
        inner = [i / n for i in range(1, n)] if thresholds is None else sorted(float(t) for t in thresholds)
        self._given_thresholds = None if thresholds is None else inner
        self._even = thresholds is None or evenly_spaced([0.0, *inner, 1.0])
        self.thresholds = [0.0 - epsilon(), *inner, 1.0 + epsilon()]  # so that every score lies between the first and the last
        self.num_thresholds = len(self.thresholds)
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights).tolist()
        self._built = False
        if not multi_label or num_labels:
            self._build((None, num_labels))

    def _build(self, shape):
        if self.multi_label and (len(shape) != 2 or not isinstance(shape[1], int)):
            raise ValueError(f"AUC with `multi_label=True` needs y_pred of shape (batch, labels), but got {show(shape)}.")
        shape = (self.num_thresholds, shape[1]) if self.multi_label else (self.num_thresholds,)
        for outcome in OUTCOMES:
            setattr(self, outcome, self.add_variable(shape, "zeros", name=outcome))
        self._built = True

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in targets (0 or not 0) and scores of one shape, (batch, labels) if `multi_label`; weights of leading axes."""
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._built:
            self._build(y_pred.shape)
        counts = outcome_counts(
            y_true,
            ops.sigmoid(as_single(y_pred)) if self.from_logits else y_pred,
            self.thresholds,
            sample_weight,
            dtype=self.true_positives.dtype,
            even=self._even,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        for outcome in OUTCOMES:
            getattr(self, outcome).assign_add(counts[outcome]())

    def result(self) -> Any:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._average(self._interpolated_pr())
        x, y = self._curve()
        height = {
            "interpolation": lambda a, b: (a + b) / 2.0,
            "minoring": ops.minimum,
            "majoring": ops.maximum,
        }[self.summation_method](y[:-1], y[1:])
        return self._average((x[:-1] - x[1:]) * height)

    def _curve(self):
        """x and y of the curve's points, one a threshold (and label)."""
        tp, fp, tn, fn = (getattr(self, outcome).value for outcome in OUTCOMES)
        if self.curve == "ROC":
            return share(fp, tn), share(tp, fn)
        if self.curve == "PR":
            return share(tp, fn), share(tp, fp)
        odds = ops.divide_no_nan(tp + fn, tn + fp)
        recall_gain = ops.where(tp > 0, 1.0 - odds * ops.divide_no_nan(fn, tp), 0.0)
        precision_gain = ops.where(tp > 0, 1.0 - odds * ops.divide_no_nan(fp, tp), 1.0)
        return ops.maximum(recall_gain, 0.0), precision_gain

    def _interpolated_pr(self):
        """Areas between neighbouring points of the PR curve, with true positives (not precision) linear in between.

        With tp = a + slope p, where p counts predicted positives, the area is the integral of tp / p d(tp) / positives.
        """
        tp, fp, _, fn = (getattr(self, outcome).value for outcome in OUTCOMES)
        p = tp + fp
        d_tp, d_p = tp[:-1] - tp[1:], p[:-1] - p[1:]
        slope = ops.divide_no_nan(d_tp, ops.maximum(d_p, 0.0))
        intercept = tp[1:] - slope * p[1:]
        both = ops.logical_and(p[:-1] > 0, p[1:] > 0)
        ratio = ops.where(both, ops.divide_no_nan(p[:-1], ops.maximum(p[1:], 0.0)), 1.0)
        return ops.divide_no_nan(slope * (d_tp + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0.0))

    def _average(self, areas):
        """Sum over the thresholds, then mean over the labels."""
        by_label = ops.sum(areas, axis=0)
        if not self.multi_label:
            return by_label
        if self.label_weights is None:
            return ops.mean(by_label)
        weights = ops.convert_to_tensor(self.label_weights, dtype=by_label.dtype)
        return ops.divide_no_nan(ops.sum(by_label * weights), ops.sum(weights))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "thresholds": self._given_thresholds}
        if self._given_thresholds is None:
            del config["thresholds"]
        return config


def _one_of(argument, value, allowed):
    if value not in allowed:
        raise ValueError(f"AUC: `{argument}` must be one of {list(allowed)}, but got {value!r}.")
    return value
