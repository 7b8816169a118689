"""The confusion matrix: which class was taken for which."""

import numpy as np

from mlkit.pictures.picture import Picture
from mlkit.pictures.words import escaped, in_figure, shorter

_IN_HTML, _IN_FIGURE = 30, 60  # classes that are shown one by one


class ConfusionMatrix(Picture):
    """How often each class (row) was predicted as each (column).

    Args:
        counts: integer array (classes, classes).
        class_names: list, or None for numbers.
    """

    title = "Confusion matrix"

    def __init__(self, counts, class_names=None):
        self.counts = np.asarray(counts)
        self.class_names = list(map(str, class_names if class_names is not None else range(len(self.counts))))
        if self.counts.shape != (len(self.class_names),) * 2:
            raise ValueError(f"ConfusionMatrix: {len(self.class_names)} class names, but counts of shape {self.counts.shape}.")

    @property
    def accuracy(self):
        """Share of right predictions."""
        return float(np.trace(self.counts) / max(self.counts.sum(), 1))

    def most_confused(self, count: int = 10):
        """The most frequent mistakes: list of (true class, predicted class, how often), most frequent first.

        >>> ConfusionMatrix([[5, 1], [2, 7]], ["cat", "dog"]).most_confused()
        [('dog', 'cat', 2), ('cat', 'dog', 1)]
        """
        wrong = self.counts * ~np.eye(len(self.counts), dtype=bool)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [np.unravel_index(i, wrong.shape) for i in order]
        return [(self.class_names[i], self.class_names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]

    def _shares(self):
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    def _worst(self, count):
        """Numbers of the classes with the most mistakes, as true or as predicted class, in their order."""
        wrong = self.counts * ~np.eye(len(self.counts), dtype=bool)
        return np.sort(np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:count])

    def html(self):
        shown = self._worst(_IN_HTML)
        names = [self.class_names[i] for i in shown]
        # many names stand upright, or each would be a letter wide
        upright = (
            "writing-mode:vertical-rl;white-space:nowrap;text-align:left;padding-bottom:1em"
            if len(names) > 10
            else "max-width:8em"
        )
        heads = "".join(_head(name, upright) for name in names)
        rows = [f"<tr><th>true \\ predicted</th>{heads}</tr>"]
        for name, counts, shares in zip(names, self.counts[np.ix_(shown, shown)], self._shares()[np.ix_(shown, shown)]):
            rows.append(f"<tr>{_head(name, 'text-align:left;max-width:16em')}{''.join(map(_cell, counts, shares))}</tr>")
        mistakes = "; ".join(f"{escaped(t)} as {escaped(p)}: {n}" for t, p, n in self.most_confused(5)) or "none"
        left = (
            f"The {len(shown)} of {len(self.counts)} classes with the most mistakes. " if len(shown) < len(self.counts) else ""
        )
        below = f"<p>{left}Accuracy {self.accuracy:.1%}. Most confused: {mistakes}.</p>"
        table = f'<table style="border-collapse:collapse">{"".join(rows)}</table>'
        return f'<h3>{self.title}</h3><div style="overflow-x:auto">{table}</div>{below}'

    @property
    def size(self):
        inches = 3.5 + 0.3 * min(max(len(self.counts), 8), _IN_FIGURE // 2)
        return inches, inches * 0.85

    def draw(self, figure):
        axes = figure.add_subplot()
        shares = self._shares()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        names = [in_figure(name, 20) for name in self.class_names]
        if len(names) <= _IN_FIGURE:
            size = 9 if len(names) <= 20 else 6
            axes.set_xticks(
                range(len(names)), names, fontsize=size, rotation=90 if max(map(len, names)) * len(names) > 40 else 0
            )
            axes.set_yticks(range(len(names)), names, fontsize=size)
        axes.set(xlabel="predicted", ylabel="true", title=f"{self.title} (accuracy {self.accuracy:.1%})")
        if len(self.class_names) <= 20:
            for (i, j), n in np.ndenumerate(self.counts):
                axes.text(j, i, str(n), ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")


def _head(name, style):
    return f'<th style="overflow-wrap:anywhere;{style}" title="{escaped(name)}">{escaped(shorter(name, 40))}</th>'


def _cell(count, share):
    # the background covers the page's, so that the number can be read on light pages and on dark ones
    red, green, blue = (round(255 + (c - 255) * share) for c in (31, 119, 180))
    colors = f"background:rgb({red},{green},{blue});color:{'white' if share > 0.9 else 'black'}"
    return f'<td style="text-align:center;padding:0.4em 0.8em;{colors}">{count}</td>'


def confusion_matrix(labels, predictions, class_names=None):
    """The `ConfusionMatrix` of true and predicted classes.

    Args:
        labels: class numbers (n,) or one-hot rows (n, classes).
        predictions: class numbers (n,) or probabilities (n, classes); (n, 1) are probabilities of the second of two classes.
        class_names: list of names, or None for numbers.

    >>> confusion_matrix([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]).counts
    array([[1, 0],
           [1, 1]])
    """
    true, predicted = as_classes(labels), as_classes(predictions)
    if true.shape != predicted.shape:
        raise ValueError(f"confusion_matrix: {true.shape[0]} labels, but {predicted.shape[0]} predictions.")
    width = np.shape(predictions)[1] if np.ndim(predictions) == 2 else 0
    size = max(len(class_names or ()), 2 if width == 1 else width, int(max(true.max(initial=0), predicted.max(initial=0))) + 1)
    counts = np.zeros((size, size), "int64")
    np.add.at(counts, (true, predicted), 1)
    return ConfusionMatrix(counts, class_names)


def as_classes(values):
    """Class numbers of labels or predictions in any of their forms."""
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] > 1:
        return values.argmax(axis=1)
    flat = values.reshape(len(values))
    return (flat > 0.5).astype("int64") if values.ndim == 2 else flat.astype("int64")
