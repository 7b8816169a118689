"""Communicator: how processes that train together exchange arrays. Each of them is a rank, numbered from 0.

A backend's `join` puts one into the state; kernels of the collective ops, and what splits batches, find it there. Whoever calls a
method waits until all ranks have called it: in the same order on each, from one thread.
"""

import abc
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.state import state

REDUCTIONS = ("sum", "min", "max")


def timeout() -> float:
    """Seconds that a rank waits for others before all are stopped: MLKIT_COLLECTIVE_TIMEOUT, or 60."""
    return float(os.environ.get("MLKIT_COLLECTIVE_TIMEOUT", 60))


class Communicator(abc.ABC):
    """rank: number of this process; size: how many there are; overlaps: whether what `start` is given travels while its caller goes on. A
    subclass says how arrays travel."""

    rank: int
    size: int
    overlaps: bool = False

    @abc.abstractmethod
    def all_reduce(self, array: np.ndarray, reduction: str = "sum", label: str = "") -> None:
        """Replace a contiguous array of numbers by its sum, minimum or maximum over all ranks. label: what it is, for messages."""

    def start(self, array: np.ndarray, reduction: str = "sum", label: str = "") -> None:
        """Begin an `all_reduce` of a contiguous array, which nobody may touch before `wait`. Here it is done at
        once."""
        self.all_reduce(array, reduction, label)

    def wait(self, array: np.ndarray) -> None:
        """Return when an array given to `start` has arrived. What went wrong on its way is raised here."""
        return None

    def free(self, array: np.ndarray) -> None:
        """Return when an array given to `start` no longer travels, if it does; nobody wants to know how that ended."""
        return None

    @abc.abstractmethod
    def all_gather(self, array: np.ndarray, label: str = "") -> np.ndarray:
        """The arrays of all ranks, which have one shape and dtype, in the order of ranks along a new first axis."""

    @abc.abstractmethod
    def broadcast(self, array: np.ndarray, root: int = 0, label: str = "") -> None:
        """Replace a contiguous array by that of the rank `root`."""

    @abc.abstractmethod
    def all_gather_values(self, value: Any, label: str = "") -> list[Any]:
        """The plain values (numbers, strings, lists and dicts of them, NumPy arrays) of all ranks, in their order."""

    def all_gather_rows(self, array: np.ndarray, counts: Sequence[int], label: str = "") -> np.ndarray:
        """The rows of all ranks one after the other, where rank r has the first ``counts[r]`` of its array to give."""
        padded = np.zeros((max(counts), *array.shape[1:]), array.dtype)
        own = counts[self.rank]
        padded[:own] = array[:own]
        every = self.all_gather(padded, label)
        return np.concatenate([rows[:count] for rows, count in zip(every, counts)])


def replicas() -> Any:
    """The `mlkit.distribution.replicas.Replicas` of the distribution in force; None where this process trains alone."""
    distribution = state.distribution
    return None if distribution is None else distribution.replicas


def in_step() -> Any:
    """The replicas, while a step on a batch is computed or traced, part of which is this process's; else None."""
    group = replicas()
    return group if group is not None and group.in_step else None
