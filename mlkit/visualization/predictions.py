"""What a classifier says to a labelled data set, and where it is wrong."""

import csv
import heapq
import os

import numpy as np

from mlkit import data
from mlkit.models.views import check_views, views
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import Page
from mlkit.visualization.cleaning import ToClean, suspects
from mlkit.visualization.confusion import as_classes, confusion_matrix
from mlkit.visualization.scores import Calibration, ClassScores, interval


class Predictions:
    """Probabilities and labels of a data set, with the images the model is most wrong about; made by `predictions_of`.

    Args:
        probabilities: (n, classes).
        labels: (n,).
        class_names: list or None.
        worst: list of (confidence, position in the data, image), most wrong first.
        file_paths: of the n images, or None where the data tells none.
    """

    def __init__(self, probabilities, labels, class_names, worst, file_paths=None):
        self.probabilities, self.labels, self.class_names, self.worst = probabilities, labels, class_names, worst
        self.file_paths = file_paths

    def __repr__(self) -> str:
        return f"<Predictions of {len(self.labels)} images, accuracy {self.accuracy:.1%}>"

    def _repr_html_(self) -> str:
        return Page(
            f"Predictions of {len(self.labels)} images", self.summary(), self.confusion_matrix(), self.most_wrong()
        ).html()

    @property
    def accuracy(self):
        """Share of images whose most probable class is the right one."""
        return float(self._right().mean())

    @property
    def names(self) -> list[str]:
        """The names of the classes, or their numbers."""
        return list(map(str, self.class_names or range(self.probabilities.shape[1])))

    def _right(self):
        return self.probabilities.argmax(axis=1) == self.labels

    def summary(self) -> str:
        """Accuracy with its 95 % interval, and the mean recall and F1 of the classes."""
        low, high = interval(int(self._right().sum()), len(self.labels))
        scores = self.by_class()
        parts = [f"Accuracy {self.accuracy:.1%} of {len(self.labels)} photos (95 %: {low:.1%} to {high:.1%})"]
        if self.probabilities.shape[1] > 10:
            best = np.argpartition(-self.probabilities, 4, axis=1)[:, :5]
            parts.append(f"right class among the first five {(best == self.labels[:, None]).any(axis=1).mean():.1%}")
        parts.append(f"mean recall of the classes {scores.balanced_accuracy:.1%}, mean F1 {scores.macro_f1:.3f}")
        return ", ".join(parts) + "."

    def by_class(self) -> ClassScores:
        """Recall, precision and F1 of each class."""
        return ClassScores(self.confusion_matrix().counts, self.names)

    def calibration(self) -> Calibration:
        """How far its probabilities can be believed."""
        return Calibration(self.probabilities.max(axis=1), self._right())

    def report(self, *others) -> Page:
        """Everything on one page, whatever the number of classes. others: more pictures, such as `grad_cam` of the most wrong."""
        parts = [self.summary(), self.by_class(), self.confusion_matrix(), self.calibration(), self.most_confused()]
        return Page("Predictions", *parts, self.most_wrong(), *others)

    def subset(self, rows) -> "Predictions":
        """Those of some of the images, in this order."""
        rows = np.asarray(rows)
        place = {int(row): i for i, row in enumerate(rows)}
        worst = [(sure, place[i], image) for sure, i, image in self.worst if i in place]
        paths = [self.file_paths[i] for i in rows] if self.file_paths else None
        return Predictions(self.probabilities[rows], self.labels[rows], self.class_names, worst, paths)

    def to_csv(self, path, top: int = 5) -> None:
        """Write a row for each image: its file (or number), the label, what was said and how surely, and the next best classes."""
        names, count = self.names, min(top, self.probabilities.shape[1])
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.writer(file)
            said = [f"{word}_{i}" for i in range(1, count + 1) for word in ("class", "probability")]
            rows.writerow(["photo", "label", "right", *said])
            for i, (p, label) in enumerate(zip(self.probabilities, self.labels)):
                order = np.argsort(-p, kind="stable")[:count]
                cells = [cell for j in order for cell in (names[j], f"{p[j]:.6g}")]
                rows.writerow([self.file_paths[i] if self.file_paths else i, names[label], int(order[0] == label), *cells])

    def to_clean(self) -> ToClean:
        """The photos whose labels are likely wrong (see `ToClean`). The model must not have been trained on them: take photos of
        validation, or `finetuning.cross_validated` for those of training."""
        rows, better = suspects(self.probabilities, self.labels)
        images = {i: image for _, i, image in self.worst}
        name = lambda i: self.file_paths[i] if self.file_paths else i
        found = [
            (name(i), self.names[self.labels[i]], self.names[b], float(self.probabilities[i, b])) for i, b in zip(rows, better)
        ]
        return ToClean(found, {name(i): images[i] for i in rows if i in images})

    def confusion_matrix(self):
        """The `ConfusionMatrix`."""
        return confusion_matrix(self.labels, self.probabilities, self.class_names)

    def most_wrong(self, count: int = 12):
        """`Gallery` of the wrong predictions the model is most sure of."""
        return self._gallery(self.worst[:count], "Most wrong")

    def most_confused(self, count: int = 12):
        """`Gallery` of the most frequent mistake: images of one class taken for one other, the surest of those kept."""
        said = self.probabilities.argmax(axis=1)
        for true, predicted, times in self.confusion_matrix().most_confused(len(self.worst)):
            pair = [w for w in self.worst if (self._name(self.labels[w[1]]), self._name(said[w[1]])) == (true, predicted)]
            if pair:
                return self._gallery(pair[:count], f"Most confused: {true} taken for {predicted}, {times} times")
        return self._gallery([], "Most confused: none")

    def _gallery(self, wrong, title):
        captions, hints = [], []
        for confidence, i, _ in wrong:
            said = f"{self._name(self.labels[i])}, but {confidence:.0%} {self._name(self.probabilities[i].argmax())}"
            captions.append(f"{said}\n{self._file(i)}" if self.file_paths else said)
            hints.append(self.file_paths[i] if self.file_paths else f"image {i}")
        return Gallery([image for _, _, image in wrong], captions, title, hints=hints)

    def _file(self, i):
        """The file of an image with the folder it lies in."""
        return "/".join(os.path.normpath(self.file_paths[i]).split(os.sep)[-2:])

    def _name(self, number):
        return self.class_names[number] if self.class_names else str(number)


def predictions_of(model, x, y=None, class_names=None, keep: int = 24, augment=None, times: int = 4):
    """Let a classifier predict a labelled data set, and keep the images it is most wrong about.

    Args:
        model: gives class probabilities (batch, classes), or (batch, 1) for the second of two classes.
        x, y: images and labels, or a data set of batches, whose `class_names` count. An `ImageDataset` tells the file of each image.
        class_names: list of names.
        keep: how many wrong images to keep at most.
        augment: augmentation at test time. "flip": the mean over each image and its mirror image; a layer such as `RandomFlip`, or a
            list of such: the mean over the image and `times - 1` changes of it.
        times: how often an image is judged with layers of augmentation.

    Returns:
        `Predictions`.
    """
    check_views(augment, times)
    class_names = class_names or getattr(x, "class_names", None)
    known = getattr(model, "class_names", None)
    if known and class_names and list(known) != list(class_names):
        raise ValueError(
            f"predictions_of: the model's classes are {_few(known)}, but those of the data are {_few(class_names)}: their numbers "
            "mean something else. Pass the folder `class_names=model.class_names`."
        )
    class_names = class_names or known
    rows, labels, worst, paths, seen = [], [], [], [], 0
    for bx, by, files in _batches(x, y):
        if by is None:
            raise ValueError("predictions_of: the data has no labels.")
        if np.ndim(by) == 2 and np.shape(by)[1] > 1 and not np.allclose(np.sum(by, axis=1), 1, atol=1e-3):
            raise ValueError("predictions_of: the labels are several a photo, but one class of each is looked at here.")
        p, true = (
            np.mean([_both_classes(model.predict_on_batch(v)) for v in views(bx, augment, times)], axis=0),
            as_classes(by),
        )
        said = p.argmax(axis=1)
        for i in np.flatnonzero(said != true):
            entry = (float(p[i, said[i]]), seen + int(i), bx[i])
            (heapq.heappush if len(worst) < keep else heapq.heappushpop)(worst, entry)
        rows.append(p)
        labels.append(true)
        paths.extend(files or ())
        seen += len(true)
    if not rows:
        raise ValueError("predictions_of: the data has no batches.")
    worst.sort(key=lambda entry: (-entry[0], entry[1]))
    return Predictions(np.concatenate(rows), np.concatenate(labels), class_names, worst, paths or None)


def _batches(x, y):
    """(images, labels, paths of their files or None) of each batch."""
    if y is None and hasattr(x, "with_paths"):
        yield from x.with_paths()
        return
    for bx, by, _ in data.get_adapter(x, y).epoch(0):
        yield bx, by, None


def _few(names):
    return f"{', '.join(map(str, names[:8]))}{f' and {len(names) - 8} more' if len(names) > 8 else ''}"


def _both_classes(p):
    """Probabilities of all classes, also where the model gives that of the second of two."""
    p = np.asarray(p)
    if p.ndim != 2:
        raise ValueError(f"predictions_of: the model must give (batch, classes), but gave shape {p.shape}.")
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p
