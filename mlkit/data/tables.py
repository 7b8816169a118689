"""Rows with named columns, as Hugging Face's `datasets` has them, as `(x, y)`. They are known by what they can do."""

import itertools
from collections.abc import Iterator
from typing import Any

from mlkit.data.pipeline import elements

LABELS = ("label", "labels", "target", "targets", "y")


def has_rows(x: Any) -> bool:
    """Whether x is such a data set, or a stream of rows."""
    return hasattr(x, "features") and hasattr(x, "column_names") and hasattr(x, "__iter__")


class Rows:
    """The rows of a table, read by number: y is the column with one of the names in `LABELS`, if there is one; x is the other, or a
    dict of the others."""

    def __init__(self, table: Any):
        self._table, self._split = table, _splitter(table.column_names)

    def __len__(self) -> int:
        return len(self._table)

    def take(self, index: Any) -> Any:
        """Some rows, given by a slice or an array of their numbers: x, or (x, y)."""
        chosen = self._table[index if isinstance(index, slice) else index.tolist()]
        try:
            return elements.to_element(self._split(chosen))
        except ValueError as error:
            raise ValueError(
                f"The rows of a batch differ in shape: bring them to one by `map` before `fit`. ({error})"
            ) from error


class Stream:
    """A stream of rows, which has no numbers for them, as batches."""

    def __init__(self, stream: Any, batch_size: int):
        self._stream, self._batch_size = stream, batch_size

    def __iter__(self) -> Iterator[Any]:
        rows = iter(self._stream)
        while chosen := list(itertools.islice(rows, self._batch_size)):
            split = _splitter(list(chosen[0]))
            yield elements.stack([elements.to_element(split(row)) for row in chosen])


def _splitter(columns: list[str]) -> Any:
    """A function of a dict of columns: x, or (x, y)."""
    labels = [name for name in columns if name in LABELS]
    inputs = [name for name in columns if name not in LABELS]
    if len(labels) > 1 or not inputs:
        raise ValueError(
            f"The data set has the columns {columns}. Expected inputs and at most one column of labels, called one of "
            f"{', '.join(LABELS)}: rename or remove columns (rename_column, remove_columns)."
        )

    def split(row: Any) -> Any:
        x = row[inputs[0]] if len(inputs) == 1 else {name: row[name] for name in inputs}
        return (x, row[labels[0]]) if labels else x

    return split
