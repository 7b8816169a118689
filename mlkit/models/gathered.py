"""Results of batches, one behind the other in one array from the first on."""

import contextlib
from typing import Any

import numpy as np

from mlkit.core import tree


class Gathered:
    """Structures of arrays (batch, ...) as one such structure. Nothing is held twice, as parts that are joined in the end would be.

    batches: how many there will be at most, or None.

    >>> found = Gathered(batches=3)
    >>> found.add({"a": np.zeros((4, 2))}), found.add({"a": np.ones((1, 2))})
    (None, None)
    >>> found.result()["a"].shape
    (5, 2)
    """

    def __init__(self, batches: int | None = None):
        self._batches, self._rows = batches, None

    def add(self, batch: Any) -> None:
        """Take in the next one. Raises ValueError unless its arrays fit behind the others."""
        if self._rows is None:
            self._rows = tree.map_structure(lambda part: _Rows(part, self._batches), batch)
            return
        for rows, part in zip(tree.flatten(self._rows), tree.flatten(batch), strict=True):
            rows.add(np.asarray(part))

    def result(self) -> Any:
        """All of them, or None if there were none."""
        return None if self._rows is None else tree.map_structure(_Rows.result, self._rows)


class _Rows:
    def __init__(self, first, batches):
        self.array = np.array(first, order="C")
        self.used = len(self.array) if self.array.ndim else 1
        if self.array.ndim and (batches or 1) > 1:  # memory that is never written is not taken from the system
            with contextlib.suppress(MemoryError):  # there may be fewer than was said
                self.array = np.empty((self.used * batches, *self.array.shape[1:]), self.array.dtype)
                self.array[: self.used] = first

    def add(self, part):
        if not self.array.ndim:
            raise ValueError("predict: a result without axes cannot be joined to that of another batch.")
        if part.shape[1:] != self.array.shape[1:]:
            raise ValueError(
                f"predict: results of batches can be joined along their first axis only, but one is of shape {part.shape} and those "
                f"before it of {('batch', *self.array.shape[1:])}. Call `predict_on_batch` for each."
            )
        if part.dtype != self.array.dtype:
            self.array = self.array.astype(np.result_type(self.array, part))
        end = self.used + len(part)
        if end > len(self.array):
            self.array.resize((max(end, self.used * 3 // 2), *part.shape[1:]), refcheck=False)
        self.array[self.used : end] = part
        self.used = end

    def result(self):
        if self.array.ndim and self.used < len(self.array):
            self.array.resize((self.used, *self.array.shape[1:]), refcheck=False)
        return self.array
