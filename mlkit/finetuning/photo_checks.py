"""What photos are there, part by part and class by class, and what about them will not go well: said before training."""

import os

import numpy as np

from mlkit.data.duplicates import duplicates
from mlkit.data.folder_index import Files

FEW = 10  # photos of a class; with fewer than that to train on, accuracy is a matter of luck
_SHOWN = 20


def check_classes(parts: dict[str, Files]) -> list[str]:
    """What a person should know about the parts "training" and "validation" (and "test").

    Raises:
        ValueError: there is nothing to be learned, or to choose the best epoch by.
    """
    training, validation = parts["training"], parts["validation"]
    if training.class_names is None:
        return _empty_parts(parts)
    names = training.class_names
    counts = {part: _counts(files) for part, files in parts.items()}
    if len(names) < 2:
        raise ValueError(f"All photos are of one class, {names[0]!r}: there is nothing to tell apart. Add a second class.")
    if len(training.paths) + len(validation.paths) == len(names) and max(map(max, counts.values())) == 1:
        raise ValueError(
            f"There are {len(names)} classes of one photo each: none can be set aside to validate with, and nothing can be "
            "learned from one. Are the sub-folders classes? (A table of labels is passed as `labels`.)"
        )
    notes = _empty_parts(parts)
    lacking = [name for name, n in zip(names, counts["training"]) if not n]
    if lacking:
        raise ValueError(f"There are no photos to train on of {_few(lacking)}.")
    scarce = [f"{name} ({n})" for name, n in zip(names, counts["training"]) if n < FEW]
    if scarce:
        notes.append(f"fewer than {FEW} photos to train on of {_few(scarce)}: hardly enough to learn from")
    for part in [p for p in parts if p != "training"]:
        lacking = [name for name, n in zip(names, counts[part]) if not n]
        if lacking:
            notes.append(f"no photo for {part} of {_few(lacking)}: how well these are told is not measured")
    return notes


def check_duplicates(parts: dict[str, Files]) -> list[str]:
    """What is wrong about photos that are there twice: in several parts, or under several labels."""
    where = {path: (part, _label(files, i)) for part, files in parts.items() for i, path in enumerate(files.paths)}
    across_parts, across_labels = [], []
    for group in duplicates(where):
        if len({where[p][0] for p in group}) > 1:
            across_parts.append(group)
        if len({where[p][1] for p in group}) > 1:
            across_labels.append(group)
    notes = []
    for found, words in (
        (across_parts, "in several parts, so that validation measures what was learned by heart"),
        (across_labels, "under several labels"),
    ):
        if found:
            first = " = ".join(os.path.join(*p.split(os.sep)[-2:]) for p in found[0][:3])
            notes.append(
                f"{len(found)} photo{'s are' if len(found) > 1 else ' is'} there several times {words} (first: {first})"
            )
    return notes


def counts_text(parts: dict[str, Files]) -> str:
    """How many photos of each class are in each part, as lines of a table."""
    names = parts["training"].class_names
    head = f"{sum(len(f.paths) for f in parts.values())} photos: " + ", ".join(
        f"{len(f.paths)} for {p}" for p, f in parts.items()
    )
    if names is None:
        return head
    counts = np.stack([_counts(files) for files in parts.values()], axis=1)
    order = np.argsort(-counts.sum(axis=1), kind="stable") if len(names) > _SHOWN else range(len(names))
    shown = list(order)[:_SHOWN]
    width = min(max(len(str(names[i])) for i in shown), 40)
    lines = [f"  {str(names[i])[:40]:<{width}}" + "".join(f"  {n:>6,}" for n in counts[i]) for i in shown]
    rest = [f"  and {len(names) - _SHOWN} classes more, with fewer photos"] if len(names) > _SHOWN else []
    return "\n".join([f"{head}, of {len(names)} classes", *lines, *rest])


def _counts(files):
    """Photos of each class."""
    if files.labels.ndim == 2:
        return files.labels.sum(axis=0).astype(int).tolist()
    return np.bincount(files.labels, minlength=len(files.class_names)).tolist()


def _empty_parts(parts):
    empty = [part for part, files in parts.items() if not files.paths]
    if empty:
        raise ValueError(f"There are no photos for {' and for '.join(empty)}: too few to set some aside. Add photos.")
    return []


def _label(files, i):
    label = files.labels[i]
    return tuple(label.tolist()) if np.ndim(label) else int(label)


def _few(names):
    return f"{', '.join(names[:8])} and {len(names) - 8} more" if len(names) > 8 else ", ".join(names)
