"""The confusion matrix: which class was taken for which."""

import html

import numpy as np

from mlkit.visualization.picture import Picture


class ConfusionMatrix(Picture):
    """How often each class (row) was predicted as each (column).

    counts: integer array (classes, classes). class_names: list, or None for numbers.
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

    def html(self):
        names = [html.escape(n) for n in self.class_names]
        rows = [f"<tr><th>true \\ predicted</th>{''.join(f'<th>{n}</th>' for n in names)}</tr>"]
        for name, counts, shares in zip(names, self.counts, self._shares()):
            cells = "".join(map(_cell, counts, shares))
            rows.append(f'<tr><th style="text-align:left">{name}</th>{cells}</tr>')
        mistakes = "; ".join(f"{html.escape(t)} as {html.escape(p)}: {n}" for t, p, n in self.most_confused(5)) or "none"
        below = f"<p>Accuracy {self.accuracy:.1%}. Most confused: {mistakes}.</p>"
        return f'<h3>{self.title}</h3><table style="border-collapse:collapse">{"".join(rows)}</table>{below}'

    def draw(self, figure):
        axes = figure.add_subplot()
        shares = self._shares()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = range(len(self.class_names))
        axes.set_xticks(ticks, self.class_names, rotation=90 if len(self.class_names) > 4 else 0)
        axes.set_yticks(ticks, self.class_names)
        axes.set(xlabel="predicted", ylabel="true", title=f"{self.title} (accuracy {self.accuracy:.1%})")
        if len(self.class_names) <= 20:
            for (i, j), n in np.ndenumerate(self.counts):
                axes.text(j, i, str(n), ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")


def _cell(count, share):
    blue = f"background:rgba(31,119,180,{share:.2f});color:{'white' if share > 0.6 else 'black'}"
    return f'<td style="text-align:center;padding:0.4em 0.8em;{blue}">{count}</td>'


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
