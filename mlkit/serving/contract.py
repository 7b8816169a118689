"""What the parts of a server say to one another: what a model takes and gives, and what is wrong with a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model. shape: of one row, None where a size is free; all tensors have rows as their first axis."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return shape_text(self.shape)


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape of rows in words: ``(rows, 32, any)``."""
    return f"({', '.join(['rows', *('any' if n is None else str(n) for n in shape)])})"


class Runner(Protocol):
    """A model of whatever kind, loaded.

    inputs, outputs: what it takes and gives. rows: the number it is made for, None where it takes any. class_names: of its classes, or
    None. golden: the sample that came with it (see `export.golden`), or None. nbytes: what it takes, about, with all plans made.
    """

    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    rows: int | None
    class_names: list[str] | None
    golden: str | None
    platform: str

    @property
    def nbytes(self) -> int: ...

    def prepare(self, rows: int) -> None:
        """Make what runs so many rows."""
        ...

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]: ...


class RequestError(Exception):
    """A request is not answered with what it asks for.

    Args:
        status: HTTP's number.
        message: What was expected, what came.
        retry_after: Seconds after which to ask again, or None.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None):
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after


def bad(message: str) -> RequestError:
    """The error of a request that is wrong as it is."""
    return RequestError(400, message)


def names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(repr(s.name) for s in specs)


def in_order(given: dict[str, Any], specs: Sequence[TensorSpec], what: str = "input") -> list[Any]:
    """The values of a dict by name, in the order of the specs.

    Raises:
        RequestError: A name is missing, or there is no such name.
    """
    known = {s.name for s in specs}
    for name in given:
        if name not in known:
            raise bad(f"there is no {what} {name!r}; the model has {names(specs)}.")
    missing = [s.name for s in specs if s.name not in given]
    if missing:
        raise bad(f"{what} {missing[0]!r} is missing; the model takes {names(specs)}.")
    return [given[s.name] for s in specs]
