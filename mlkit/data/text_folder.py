"""Folders of text files, one sub-folder a class, as batches."""

from collections.abc import Sequence

from mlkit.core.spec import whole
from mlkit.data.grain_format import check_format, in_format
from mlkit.data.labelled_files import Reading, file_datasets
from mlkit.data.pipeline.elements import STRING, TensorSpec, to_array


def text_dataset_from_directory(
    directory,
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names=None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    follow_links: bool = False,
    format: str = "tf",
    verbose=True,
):
    """Batches of the text files (`.txt`) in a folder, labelled by its sub-folders.

    Args:
        directory: folder; with `labels="inferred"` each of its sub-folders is a class.
        labels: "inferred"; None for texts alone; or a list of integer labels, one a file in the order of sorted paths.
        label_mode: "int": int32 (batch,); "categorical": one-hot float32 (batch, classes); "binary": float32 (batch, 1) of two
            classes; None: no labels.
        class_names: sub-folders to use, in the order of their labels; all of them, sorted, unless given.
        batch_size: texts a batch; None yields single texts.
        max_length: bytes that are kept of a text, at most; no character is cut.
        shuffle: whether each pass has a new random order; else files are sorted.
        seed: seed of the order and of the split; drawn from NumPy's global generator unless given.
        validation_split: fraction of the files set aside, in (0, 1).
        subset: "training", "validation" or "both" (a pair of datasets); only with `validation_split`.
        follow_links: whether to enter folders that are symbolic links.
        format: "tf" for a `Dataset`, "grain" for a `grain.IterDataset`.
        verbose: whether to print how many files there are.

    Returns:
        A `Dataset` of texts (`Strings`) and labels, with the attributes `class_names` and `file_paths`; a pair of them for
        `subset="both"`.

    Example: `texts, val = text_dataset_from_directory("aclImdb/train", validation_split=0.2, subset="both", seed=1)`
    """
    check_format("text_dataset_from_directory", format)
    if max_length is not None:
        max_length = whole("text_dataset_from_directory", "`max_length`", max_length, 1)

    def read(path):
        with open(path, "rb") as file:
            if max_length is None:
                return to_array(file.read())
            return to_array(file.read(max_length).decode("utf-8", "ignore"))

    found = file_datasets(
        Reading(read, TensorSpec((), STRING)),
        (".txt",),
        directory,
        labels,
        label_mode,
        class_names,
        batch_size,
        shuffle,
        seed,
        validation_split,
        subset,
        follow_links,
        verbose,
    )
    return in_format(found, format)
