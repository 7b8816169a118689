"""A table of labels beside one folder of photos: `labels.csv`."""

import collections
import csv
import io
import os
import warnings
from collections.abc import Sequence

import numpy as np

from mlkit.core.typing import FilePath
from mlkit.data.folder_index import Files, PassedOverWarning
from mlkit.data.folder_walk import FolderWalk
from mlkit.data.photo_kinds import readable_formats

TASKS = ("classification", "multi_label", "regression")
_FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_id", "img", "path", "photo", "id", "name")
_SEPARATORS = (";", "|")
_FLAGS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}  # as spreadsheets and pandas write them


def read_label_table(
    path: FilePath, directory: FilePath, task: str | None = None, class_names: Sequence[str] | None = None
) -> tuple[Files, str]:
    """The files that a table names, with their labels, and what kind of labels these are.

    The first column (or the one called "file", "image", "path" or the like) names the photos: paths below the folder, or names
    that are found anywhere below it; the ending may be left out. One more column holds a class, classes with ";" or "|" between
    them, or a number that is no whole one; several more hold 0 and 1 (a class each) or numbers. Columns without a name, such as
    pandas' row numbers, are left out. Photos that the table does not name are no part of the data, which a warning says.

    Args:
        path: a `.csv` (or tab-separated) file, below the folder or not, with a line of names.
        directory: the folder of the photos.
        task: "classification", "multi_label" or "regression"; told from the table unless given.
        class_names: the classes in the order of their numbers; all that occur, sorted, unless given.

    Returns:
        `(files, task)`. Labels are class numbers; rows of 0 and 1, a column a class; or rows of numbers.

    Raises:
        ValueError: rows without a photo or a label, in words.
    """
    directory = os.fspath(directory)
    path = _found(path, directory)
    header, rows = _read(path)
    key = next((i for i, name in enumerate(header) if name.strip().lower() in _FILE_COLUMNS), 0)
    names = [row[key].strip() for row in rows]
    labelled = [i for i, name in enumerate(header) if i != key and name.strip()]
    columns, others = [[row[i].strip() for row in rows] for i in labelled], [header[i].strip() for i in labelled]
    if not columns:
        raise ValueError(f"{path}: there must be a column of file names and one of labels, but there is only {header}.")
    if task not in (None, *TASKS):
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}, but is {task!r}.")
    for line, cells in enumerate(zip(names, *columns), 2):
        if "" in cells:
            raise ValueError(
                f"{path}, line {line}: there is an empty cell in {list(cells)}. Give the photo a label, or take the line out."
            )
    paths = _paths(path, header[key].strip(), names, directory)
    task = task or _task(columns)
    if task == "regression":
        return Files(paths, _values(path, others, columns), None, others), task
    if len(columns) > 1:
        if not _are_flags(columns):
            raise ValueError(f"{path}: {_too_many(others)}")
        labels = np.array([[_FLAGS[cell.lower()] for cell in column] for column in columns], "float32").T
        return _in_order(path, Files(paths, labels, others), class_names), "multi_label"
    if task == "multi_label":
        sets = [{part.strip() for part in _parts(cell) if part.strip()} for cell in columns[0]]
        classes = _classes(path, set().union(*sets), class_names)
        return Files(paths, np.array([[float(c in s) for c in classes] for s in sets], "float32"), classes), task
    classes = _classes(path, set(columns[0]), class_names)
    number = {name: i for i, name in enumerate(classes)}
    return Files(paths, np.array([number[cell] for cell in columns[0]], "int32"), classes), task


def _found(path, directory):
    """The table: a path of its own, or one below the folder."""
    path = os.fspath(path)
    for place in (os.path.join(directory, path), path):
        if os.path.isfile(place):
            return place
    raise FileNotFoundError(f"There is no table of labels {path!r}, neither in {directory!r} nor in {os.getcwd()!r}.")


def _read(path):
    """(cells of the first line, cells of the others)."""
    with open(path, "rb") as file:
        data = file.read()
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # "Unicode text" of spreadsheets
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line}: this is no text in UTF-8. Save the table as CSV with UTF-8 encoding."
        ) from error
    first = text.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = [row for row in lines if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise ValueError(f"{path}: expected a line of names and a line for each photo.")
    header, *rows = rows
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"{path}, line {line}: {len(row)} cells, but the first line has {len(header)}.")
    twice = [name for name, count in collections.Counter(filter(None, map(str.strip, header))).items() if count > 1]
    if twice:
        raise ValueError(f"{path}: several columns are called {twice[0]!r}. Give each a name of its own.")
    if any(cell.strip().lower().endswith(readable_formats()) for cell in header):
        raise ValueError(f"{path}: the first line must name the columns, but it is {header}. Put `file,label` above it.")
    return header, rows


def _paths(table, column, names, directory):
    """The paths of the photos that a table names in this column."""
    there = FolderWalk(directory, readable_formats()).files()
    exact: dict[str, list[str]] = {}
    known: dict[str, list[str]] = {}
    for path in there:
        relative, base = os.path.relpath(path, directory).replace(os.sep, "/"), os.path.basename(path)
        exact[relative] = [path]
        for name in {os.path.splitext(relative)[0], base, os.path.splitext(base)[0]}:
            known.setdefault(name, []).append(path)
    paths, missing, unclear = [], [], []
    for name in names:
        if os.path.isabs(name):
            name = os.path.relpath(name, os.path.abspath(directory))
        name = name.replace("\\", "/").removeprefix("./")
        found = exact.get(name) or known.get(name, [])
        (missing if not found else unclear if len(found) > 1 else paths).append(found[0] if len(found) == 1 else name)
    for what, wrong in (("are not below", missing), ("are there several times below", unclear)):
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise ValueError(
                f"{table}: photos {', '.join(wrong[:3])}{more} {what} {directory!r} (names are taken from column {column!r})."
            )
    twice = [path for path, count in collections.Counter(paths).items() if count > 1]
    if twice:
        raise ValueError(f"{table}: {twice[0]} is in the table twice.")
    if left := len(there) - len(paths):
        are = "photos are" if left > 1 else "photo is"
        warnings.warn(f"{directory}: {left} {are} not in {table}, so left out.", PassedOverWarning, stacklevel=4)
    return paths


def _task(columns):
    if len(columns) > 1:
        numbers = not _are_flags(columns) and all(_numbers(column) is not None for column in columns)
        return "regression" if numbers else "multi_label"
    numbers = _numbers(columns[0])
    if numbers is not None and (numbers != np.round(numbers)).any():
        return "regression"
    return "multi_label" if any(s in cell for cell in columns[0] for s in _SEPARATORS) else "classification"


def _are_flags(columns):
    return all(cell.lower() in _FLAGS for column in columns for cell in set(column))


def _values(path, names, columns):
    """The numbers to be predicted, float32 (photos, columns)."""
    found = {name: _numbers(column) for name, column in zip(names, columns)}
    for name, numbers in found.items():
        if numbers is None or not np.isfinite(numbers).all():
            raise ValueError(
                f"{path}: for regression all labels must be numbers, but not all in column {name!r} are (finite) ones."
            )
    return np.stack(list(found.values()), axis=1).astype("float32")


def _too_many(names):
    return (
        f"several columns of labels ({', '.join(names)}) must hold 0 or 1 each, or numbers. Take out those that are no labels; "
        "one column can hold several classes, with `;` between them."
    )


def _numbers(cells):
    """The cells as numbers, also with a decimal comma; None if one is no number."""
    try:
        return np.array([float(cell.replace(",", ".")) for cell in cells])
    except ValueError:
        return None


def _parts(cell):
    for separator in _SEPARATORS[1:]:
        cell = cell.replace(separator, _SEPARATORS[0])
    return cell.split(_SEPARATORS[0])


def _classes(path, there, wanted):
    """The classes in their order: all that occur, or those wanted."""
    if wanted is None:
        return sorted(there)
    unknown = sorted(there - set(wanted))
    if unknown:
        raise ValueError(f"{path}: classes {', '.join(unknown)} are not among {', '.join(wanted)}.")
    return list(wanted)


def _in_order(path, files, wanted):
    """With the columns of labels in the order of the classes wanted."""
    classes = _classes(path, set(files.class_names), wanted)
    return Files(files.paths, files.labels[:, [files.class_names.index(c) for c in classes]], classes)
