"""Two classifiers on the same photos: which is better, and is it more than chance?"""

import math

import numpy as np

from mlkit.pictures.picture import Page, Paged
from mlkit.pictures.table import Table

_DRAWS, _SEED = 2000, 0


def compare(first, second, names=("first", "second")) -> "Comparison":
    """Compare what two models say of the same photos.

    Args:
        first, second: `Predictions` of the same data.
        names: what to call them.

    Returns:
        A `Comparison`.

    Raises ValueError if the photos, their labels or the classes differ.
    """
    second = _in_order_of(first, second)
    if list(first.class_names or ()) != list(second.class_names or ()):
        raise ValueError(f"compare: the classes differ: {first.class_names} and {second.class_names}.")
    if not np.array_equal(first.labels, second.labels):
        raise ValueError("compare: the labels differ. Both predictions must be of the same photos, in the same order.")
    return Comparison(first, second, names)


def _in_order_of(first, second):
    if len(first.labels) != len(second.labels):
        raise ValueError(f"compare: {len(first.labels)} photos and {len(second.labels)}. Both must be of the same photos.")
    if not first.file_paths or not second.file_paths or first.file_paths == second.file_paths:
        return second
    place = {path: i for i, path in enumerate(second.file_paths)}
    if set(place) != set(first.file_paths):
        raise ValueError("compare: the files differ. Both predictions must be of the same photos.")
    return second.subset([place[path] for path in first.file_paths])


class Comparison(Paged):
    """The difference of two accuracies on the same photos.

    difference: of the second from the first. low, high: its 95 % interval, by drawing the photos anew (bootstrap). p: how likely as
    many or more disagreements one way are by chance, were both as good (exact McNemar test). only_first, only_second: numbers of
    photos that only one of them has right.

    Args:
        first, second: `Predictions` of two models on the same photos, in the same order.
        names: of the two models.
    """

    title = "Two models on the same photos"

    def __init__(self, first, second, names=("first", "second")):
        self.first, self.second, self.names = first, second, tuple(names)
        right = [p.probabilities.argmax(axis=1) == p.labels for p in (first, second)]
        gain = right[1].astype("int64") - right[0]
        self.only_first, self.only_second = int((gain < 0).sum()), int((gain > 0).sum())
        self.difference = float(gain.mean())
        # the mean of a draw of n photos depends on how many of each of three kinds are in it only
        n = len(gain)
        shares = np.array([self.only_first, n - self.only_first - self.only_second, self.only_second]) / n
        drawn = np.random.default_rng(_SEED).multinomial(n, shares, _DRAWS)
        self.low, self.high = (float(v) for v in np.quantile((drawn[:, 2] - drawn[:, 0]) / n, [0.025, 0.975]))
        self.p = _sign_test(self.only_first, self.only_second)

    def __str__(self) -> str:
        a, b = self.names
        better = (
            "no difference that chance does not explain"
            if self.low <= 0 <= self.high
            else f"{b if self.difference > 0 else a} is better"
        )
        return (
            f"{a} {self.first.accuracy:.1%}, {b} {self.second.accuracy:.1%} of {len(self.first.labels)} photos; difference "
            f"{100 * self.difference:+.1f} points (95 %: {100 * self.low:+.1f} to {100 * self.high:+.1f}, p = {self.p:.2g}): {better}."
        )

    def _page(self):
        a, b = self.names
        counts = Table(
            ["right", "photos"], [[f"only {a}", self.only_first], [f"only {b}", self.only_second]], "Where they differ"
        )
        scores = [p.by_class() for p in (self.first, self.second)]
        classes = self.first.names
        gains = np.nan_to_num(scores[1].f1) - np.nan_to_num(scores[0].f1)
        order = np.argsort(-np.abs(gains), kind="stable")
        rows = [
            [classes[i], int(scores[0].support[i]), *(float(np.nan_to_num(s.f1[i])) for s in scores), float(gains[i])]
            for i in order
        ]
        table = Table(["class", "photos", f"F1 {a}", f"F1 {b}", "gain"], rows, "By class, the largest change first")
        return Page(self.title, str(self), counts, table)


def _sign_test(fewer, more):
    """Chance of so uneven a split of tosses of a fair coin, or one more so."""
    n, k = fewer + more, min(fewer, more)
    if not n:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2) for i in range(k + 1)]
    return min(1.0, 2 * sum(map(math.exp, logs)))
