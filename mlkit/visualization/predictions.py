"""What a classifier says to a labelled data set, and where it is wrong."""

import heapq
import os

import numpy as np

from mlkit import data
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import Page
from mlkit.visualization.confusion import as_classes, confusion_matrix


class Predictions:
    """Probabilities and labels of a data set, with the images the model is most wrong about; made by `predictions_of`.

    probabilities: (n, classes). labels: (n,). class_names: list or None. worst: list of (confidence, position in the data,
    image), most wrong first. file_paths: of the n images, or None where the data tells none.
    """

    def __init__(self, probabilities, labels, class_names, worst, file_paths=None):
        self.probabilities, self.labels, self.class_names, self.worst = probabilities, labels, class_names, worst
        self.file_paths = file_paths

    def __repr__(self) -> str:
        return f"<Predictions of {len(self.labels)} images, accuracy {self.accuracy:.1%}>"

    def _repr_html_(self) -> str:
        title = f"Predictions of {len(self.labels)} images"
        return Page(title, f"Accuracy {self.accuracy:.1%}", self.confusion_matrix(), self.most_wrong()).html()

    @property
    def accuracy(self):
        """Share of images whose most probable class is the right one."""
        return float((self.probabilities.argmax(axis=1) == self.labels).mean())

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


def predictions_of(model, x, y=None, class_names=None, keep: int = 24):
    """Let a classifier predict a labelled data set, and keep the images it is most wrong about.

    Args:
        model: gives class probabilities (batch, classes), or (batch, 1) for the second of two classes.
        x, y: images and labels, or a data set of batches, whose `class_names` count. An `ImageDataset` tells the file of each image.
        class_names: list of names.
        keep: how many wrong images to keep at most.

    Returns:
        `Predictions`.
    """
    class_names = class_names or getattr(x, "class_names", None)
    rows, labels, worst, paths, seen = [], [], [], [], 0
    for bx, by, files in _batches(x, y):
        if by is None:
            raise ValueError("predictions_of: the data has no labels.")
        p, true = _both_classes(model.predict_on_batch(bx)), as_classes(by)
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


def _both_classes(p):
    """Probabilities of all classes, also where the model gives that of the second of two."""
    p = np.asarray(p)
    if p.ndim != 2:
        raise ValueError(f"predictions_of: the model must give (batch, classes), but gave shape {p.shape}.")
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p
