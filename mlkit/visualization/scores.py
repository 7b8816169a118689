"""Numbers that judge a classifier: by class, with intervals, and whether its probabilities can be taken at their word."""

import math

import numpy as np

from mlkit.pictures.charts import LineChart
from mlkit.pictures.table import Table

_SIGMAS = 1.96  # of a 95 % interval


def interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927).

    >>> low, high = interval(90, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    if not count:
        return 0.0, 1.0
    share, z = right / count, _SIGMAS**2 / count
    middle, spread = share + z / 2, _SIGMAS * math.sqrt(share * (1 - share) / count + z / (4 * count))
    return max(0.0, (middle - spread) / (1 + z)), min(1.0, (middle + spread) / (1 + z))


class ClassScores(Table):
    """Recall, precision and F1 of each class, the worst first.

    recall: share of a class's photos that were found. precision: share of what was called so that is so. f1: their harmonic mean.
    All are arrays by number of the class, NaN for classes without photos.

    Args:
        counts: integers (classes, classes): row the true class, column the one said.
        class_names: list of texts.

    >>> scores = ClassScores([[5, 1], [2, 7]], ["cat", "dog"])
    >>> scores.recall.round(2).tolist(), scores.precision.round(2).tolist()
    ([0.83, 0.78], [0.71, 0.88])
    """

    def __init__(self, counts, class_names):
        counts = np.asarray(counts)
        hits, self.support, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.recall, self.precision = hits / self.support, hits / said
            self.f1 = 2 * hits / (self.support + said)
        wrong = counts * ~np.eye(len(counts), dtype=bool)
        taken = wrong.argmax(axis=1)
        order = np.lexsort((np.arange(len(counts)), np.nan_to_num(self.f1, nan=2.0)))
        rows = []
        for i in order:
            mistake = f"{class_names[taken[i]]} ({wrong[i, taken[i]]})" if wrong[i].any() else ""
            rows.append(
                [class_names[i], int(self.support[i]), *map(_number, (self.recall[i], self.precision[i], self.f1[i])), mistake]
            )
        super().__init__(["class", "photos", "recall", "precision", "F1", "most taken for"], rows, "By class, the worst first")

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have photos."""
        return float(np.mean(np.nan_to_num(self.f1[self.support > 0]))) if self.support.any() else float("nan")

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have photos."""
        return float(self.recall[self.support > 0].mean()) if self.support.any() else float("nan")


def _number(value):
    return float(value) if math.isfinite(value) else "-"


class Calibration(LineChart):
    """Whether of the photos of which a model is 80 % sure 80 % are right: accuracy by confidence.

    error: the expected calibration error, the mean distance of the two (Guo et al. 2017, "On Calibration of Modern Neural
    Networks", https://arxiv.org/abs/1706.04599).

    Args:
        bins: list of (mean confidence, accuracy, photos).
        confidence: the probability of the class that was said, (photos,).
        right: whether it was the true one, bool (photos,).
    """

    def __init__(self, confidence, right, bins: int = 10):
        confidence, right = np.asarray(confidence, "float64"), np.asarray(right, bool)
        place = np.minimum((confidence * bins).astype("int64"), bins - 1)
        self.bins = [
            (float(confidence[place == i].mean()), float(right[place == i].mean()), int((place == i).sum()))
            for i in range(bins)
            if (place == i).any()
        ]
        self.error = sum(n * abs(c - a) for c, a, n in self.bins) / max(len(confidence), 1)
        lines = {"this model": ([b[0] for b in self.bins], [b[1] for b in self.bins]), "as it should be": ([0, 1], [0, 1])}
        super().__init__(lines, f"Calibration (error {self.error:.1%})", "how sure it is", "how often it is right")
