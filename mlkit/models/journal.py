"""Journal: the way back to the values that variables had before one of the last steps, at next to no cost.

To hold the weights before each step would have the step copy them. Instead they are held now and then, with the batches since: steps on
the same batches from the same values give the same values again, to the bit.
"""

import weakref
from collections.abc import Callable
from typing import Any

from mlkit.core import locks, tree
from mlkit.core.tensor import Tensor

STEPS = 64  # after which the values are held anew
BYTES = 1 << 28  # of batches since, likewise


class Journal:
    """Of the variables that a step of a model reads or changes.

    steps: after how many the values are held anew; 1 where a step run once more would not give the same.
    """

    def __init__(self, variables: list[Any], steps: int = STEPS):
        self.variables, self.most = variables, steps
        self._held: dict[Any, Tensor] = {}
        self._steps: list[tuple[dict[Any, Tensor], list[Any]]] = []  # what others had changed before the step, and its batches
        self._seen: list[Any] = []
        self._bytes = 0

    def begin_step(self, batches: list[Any]) -> None:
        """A step is going to run on this batch, or one after the other on these before anybody looks."""
        size = sum(a.nbytes for a in tree.flatten(batches) if a is not None)
        changed = {v: v._value for v, seen in zip(self.variables, self._seen) if v._value is not seen()}
        if not self._held or len(self._steps) >= self.most or self._bytes + size > BYTES or len(changed) == len(self.variables):
            values = locks.together(lambda: [v._value for v in self.variables], [v.lock for v in self.variables])
            self._held, self._steps, self._bytes, changed = dict(zip(self.variables, values)), [], 0, {}
        self._steps.append((changed, batches))
        self._bytes += size

    def end_step(self) -> None:
        """The step has run."""
        self._seen = [weakref.ref(v._value) for v in self.variables]

    def rewind(self, step: Callable[[Any], Any]) -> None:
        """Give the variables the values from before the last step. step: what the others are run by once more."""
        *before, (changed, _) = self._steps
        self._assign(self._held)
        for own, batches in before:
            self._assign(own)
            for batch in batches:
                step(batch)
        self._assign(changed)
        self._held = {}

    def _assign(self, values: dict[Any, Tensor]) -> None:
        with locks.Writing([v.lock for v in values]):
            for v, t in values.items():
                v._value = t
