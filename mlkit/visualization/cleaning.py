"""Labels that are likely wrong, by what a model that has not seen them says; and moving files once a person has decided.

The rule is that of confident learning: a photo is suspect if the model is about as sure of another class as it is of photos that
bear that label (their mean, less one standard deviation: with the bare mean half of all mistakes would be missed). Northcutt, Jiang
and Chuang 2021, https://arxiv.org/abs/1911.00068.
"""

import csv
import os

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import Page, Picture
from mlkit.pictures.table import Table

Image = Deferred("PIL.Image")

HEADER = ["photo", "label", "suggested", "probability", "action"]
ACTIONS = ("", "move", "remove")
_PICTURED = 24


def suspects(probabilities, labels):
    """Numbers of the rows whose label is likely wrong, the most likely first, and the classes suggested for them. Of a class of
    one photo nothing is said, and it is not suggested.

    >>> p = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]]
    >>> suspects(p, [0, 0, 1, 1, 0])
    (array([4]), array([1]))
    """
    p, labels = np.asarray(probabilities, "float64"), np.asarray(labels)
    own = p[np.arange(len(p)), labels]
    count = np.bincount(labels, minlength=p.shape[1])
    usual, square = (np.bincount(labels, v, minlength=p.shape[1]) / np.maximum(count, 1) for v in (own, own**2))
    usual -= np.sqrt(np.maximum(square - usual**2, 0))
    usual[count < 2] = np.inf  # with no other photo of the label there is nothing to compare with, nor to learn it from
    # a class may be suggested where the model is as sure of it as usual, and surer than of the label
    sure = np.where((p >= usual) & (p > own[:, None]), p, -1.0)
    sure[np.arange(len(p)), labels] = -1.0
    better = sure.argmax(axis=1)
    margin = sure[np.arange(len(p)), better] - own
    found = np.flatnonzero((sure.max(axis=1) >= 0) & (count[labels] > 1))
    found = found[np.argsort(-margin[found], kind="stable")]
    return found, better[found]


class ToClean(Picture):
    """Photos whose labels are likely wrong, the most likely first: look at them, fill the column `action` of the CSV file with
    "move" or "remove", and give it to `apply_labels`.

    Args:
        rows: list of (path, label, suggested, probability of what is suggested).
        images: list of small images (height, width, channels), one a row, or None.
    """

    title = "Labels that are likely wrong"

    def __init__(self, rows, images=None):
        self.rows, self.images = list(rows), images or {}

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return str(self._table())

    def _table(self):
        return Table(HEADER[:-1], [list(row) for row in self.rows], f"{self.title}: {len(self)}")

    def save(self, path):
        """Write the rows to a `.csv` file with an empty column for decisions, or the page to `.html`, or a figure."""
        if not os.fspath(path).endswith(".csv"):
            super().save(path)
            return
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(HEADER)
            rows.writerows([name, label, better, f"{p:.4f}", ""] for name, label, better, p in self.rows)

    def _gallery(self):
        shown = [(row, self._image(row[0])) for row in self.rows[:_PICTURED]]
        shown = [(row, image) for row, image in shown if image is not None]
        captions = [f"{label}?\n{better} {p:.0%}" for (_, label, better, p), _ in shown]
        return Gallery([image for _, image in shown], captions, "The most likely", hints=[row[0] for row, _ in shown])

    def _image(self, path):
        if path in self.images:
            return self.images[path]
        if not os.path.isfile(str(path)):
            return None
        with Image.open(path) as image:
            image.draft("RGB", (256, 256))
            image = image.convert("RGB")
            image.thumbnail((160, 160))
            return np.asarray(image)

    def html(self):
        return Page(self.title, self._gallery(), self._table()).html()

    @property
    def size(self):
        return self._gallery().size

    def draw(self, figure):
        self._gallery().draw(figure)


def apply_labels(folder, labels):
    """Do what the column `action` of a CSV file says: "move" a photo to the folder of the class suggested, "remove" it from the
    classes. Rows without an action are left alone, no file is overwritten, and none is deleted: what is removed goes to a folder
    beside `folder`, called as it is with "_removed" behind.

    Args:
        folder: the photos, one sub-folder a class.
        labels: path of the CSV file; its first columns as `ToClean.save` writes them.

    Returns:
        List of (old path, new path).

    Raises ValueError, before any file is touched, for an unknown action, a class that is no folder, a photo that is not there or
    does not lie in `folder`, or a place that is taken.
    """
    folder = os.path.abspath(os.fspath(folder))
    moves, taken, wrong = [], set(), []
    for number, row in _decided(labels):
        source = os.path.abspath(os.path.join(folder, row["photo"]) if not os.path.isfile(row["photo"]) else row["photo"])
        removed = row["action"] == "remove"
        label = row["label"] if removed else row["suggested"]
        home = os.path.join(folder + "_removed" * removed, label)
        target = os.path.join(home, os.path.basename(source))
        if not os.path.isfile(source):
            wrong.append(f"row {number}: there is no photo {row['photo']!r}")
        elif os.path.commonpath([folder, source]) != folder:
            wrong.append(f"row {number}: {row['photo']!r} does not lie in {folder!r}")
        elif label != os.path.basename(label) or label in ("", ".", ".."):
            wrong.append(f"row {number}: {label!r} is no class")
        elif not removed and not os.path.isdir(home):
            wrong.append(f"row {number}: there is no class {label!r}")
        elif os.path.exists(target) or target in taken:
            wrong.append(f"row {number}: there is a {target!r} already")
        else:
            moves.append((source, target))
            taken.add(target)
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"apply_labels: nothing was moved, for {'; '.join(wrong[:5])}{more}.")
    _move(moves)
    return moves


def _move(moves):
    """Move files, all of them or none."""
    for number, (source, target) in enumerate(moves):
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(source, target)
        except OSError as error:
            for old, new in reversed(moves[:number]):
                os.rename(new, old)
            raise ValueError(f"apply_labels: nothing was moved, for {source!r} cannot be: {error.strerror}.") from error


def _decided(path):
    """(number, row) of the rows with an action."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        missing = {"photo", "label", "suggested", "action"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"apply_labels: {path} lacks the columns {sorted(missing)}.")
        listed = list(enumerate(rows, 2))
        longer = [number for number, row in listed if None in row]
        if longer:
            raise ValueError(f"apply_labels: nothing was moved, for row {longer[0]} of {path} has more cells than the first.")
        found = [(number, {**row, "action": (row["action"] or "").strip().lower()}) for number, row in listed]
    unknown = sorted({row["action"] for _, row in found} - set(ACTIONS))
    if unknown:
        raise ValueError(f"apply_labels: nothing was moved, for actions are move and remove (or nothing), but found {unknown}.")
    return [(number, row) for number, row in found if row["action"]]
