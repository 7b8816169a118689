"""Folders of texts and sounds, one sub-folder a class, as datasets: what they have in common."""

import copy
from typing import Any

import numpy as np

from mlkit.core.machine import usable_cores
from mlkit.core.spec import whole
from mlkit.data.dataset import Dataset
from mlkit.data.folder_index import Files, check_label_mode, index_folder, split_files, targets
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.elements import TensorSpec, to_array
from mlkit.data.pipeline.functions import Map
from mlkit.data.pipeline.node import Node
from mlkit.data.pipeline.sources import Counted


class FileNames(Node):
    """Paths of files, each with its label if they have labels: pairs, or paths alone."""

    Pass = Counted

    def __init__(self, files: Files, label_mode: str | None):
        super().__init__()
        self.files, self.label_mode = files, label_mode

    def cardinality(self):
        return len(self.files.paths)

    def spec(self):
        return elements.spec_of(self.at(0))

    def at(self, i):
        path = to_array(self.files.paths[i])
        if self.label_mode is None:
            return path
        return path, np.asarray(targets(self.files, np.array([i]), self.label_mode)[0])

    def block(self, numbers):
        return elements.stack([self.at(i) for i in np.arange(len(self.files.paths))[numbers]])


class Reading:
    """What `Map` computes: the content of the file in place of its path. content: the kind of it, a TensorSpec."""

    what = "reading files"

    def __init__(self, read: Any, content: TensorSpec):
        self.read, self.content = read, content

    def __call__(self, task: tuple[int, int, Any]) -> Any:
        *_, element = task
        path, *rest = element if type(element) is tuple else (element,)
        content = self.read(path.item().decode())
        return (content, *rest) if rest else content

    def spec(self, node: Node) -> Any:
        _, *rest = spec if type(spec := node.source.spec()) is tuple else (spec,)
        return (self.content, *rest) if rest else self.content


def file_datasets(
    reading: Reading,
    formats: tuple[str, ...],
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Any,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: Any,
    ragged: bool = False,
) -> Any:
    """Batches of the contents of files, or a pair of such datasets: as `text_dataset_from_directory` says.

    ragged: contents have different lengths, and are padded to the longest of a batch.
    """
    check_label_mode(label_mode)
    labels = None if label_mode is None else labels
    seed = int(np.random.randint(10**6)) if seed is None and not validation_split else seed
    files = index_folder(directory, labels, formats, class_names, shuffle, seed, follow_links, verbose)
    check_label_mode(label_mode, files)
    parts = split_files(files, validation_split, subset, shuffle, seed, verbose)
    label_mode = None if labels is None else label_mode
    made = []
    for i, part in enumerate(parts):
        names = Dataset(FileNames(part, label_mode))
        if shuffle and not (subset == "both" and i == 1):  # the validation part keeps its order, as it does in Keras
            names = names.shuffle(len(part.paths), seed)
        contents = Dataset(Map(names._node, copy.copy(reading), min(usable_cores(), 16)))
        if batch_size is not None:
            size = whole("batches of files", "`batch_size`", batch_size, 1)
            contents = contents.padded_batch(size) if ragged else contents.batch(size)
        contents.class_names, contents.file_paths, contents.labels = part.class_names, part.paths, part.labels
        made.append(contents)
    return made if subset == "both" else made[0]
