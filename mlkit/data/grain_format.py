"""Datasets as those of the package grain, for scripts that ask for `format="grain"`."""

import functools
from typing import Any

from mlkit.core import tree
from mlkit.core.deferred import Deferred

grain = Deferred("grain")  # an optional package


def check_format(what: str, format: str) -> None:
    """Raise unless datasets can be given in this format."""
    if format not in ("tf", "grain"):
        raise ValueError(f"{what}: `format` must be 'tf' (a Dataset) or 'grain', but is {format!r}.")
    if format == "grain":
        try:
            _ = grain.IterDataset
        except ImportError:
            raise ImportError(f"{what}: format='grain' needs the package grain: run `pip install grain`.") from None


def in_format(found: Any, format: str) -> Any:
    """A dataset, or each of a pair, in a format."""
    if format == "tf":
        return found
    return [_wrapper()(part) for part in found] if isinstance(found, list) else _wrapper()(found)


@functools.cache
def _wrapper() -> Any:
    class Wrapped(grain.IterDataset):
        """A grain dataset whose elements, arrays of NumPy and lists of `str`, are those of one of ours. Each iteration is a new pass."""

        def __init__(self, dataset: Any):
            super().__init__()
            self._dataset, self._passes = dataset, 0

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self._dataset, name)  # class_names, file_paths

        def __iter__(self) -> Any:
            self._passes += 1
            return Iterator(self._dataset.epoch(self._passes - 1), self._passes - 1)

    class Iterator(grain.DatasetIterator):
        """One pass."""

        def __init__(self, one: Any, number: int):
            super().__init__()
            self._one, self._number = one, number

        def __next__(self) -> Any:
            return tree.map_structure(_plain, next(self._one))

        def get_state(self) -> Any:
            return {"pass": self._number, "position": self._one.get_state()}

        def set_state(self, state: Any) -> None:
            new = self._one.node.start(state["pass"])
            new.set_state(state["position"])
            self._one.close()
            self._one, self._number = new, state["pass"]

    return Wrapped


def _plain(leaf: Any) -> Any:
    if leaf is None or leaf.dtype != object:
        return leaf
    return [s.decode() for s in leaf.tolist()] if leaf.ndim else leaf.item().decode()
