"""Copies of variables in another dtype, which a program writes beside them; see `compiler/passes/carry.py`."""

import weakref

from mlkit.backends.native import version_counters


class Copies:
    """The copies that one program takes and returns.

    Args:
        backend: Whose kernels make a copy where there is none, or the variable has another value than it was left with.
        sources: As `Carried` has them.
        first: Number of the first copy among the inputs of the graph.
    """

    def __init__(self, backend, sources, first):
        self._backend, self._sources, self.first = backend, sources, first
        self._kept = [None] * len(sources)  # (weak reference to the variable's array, its stamp, the copy)

    def take(self, arrays):
        """The copies for the inputs of a run, which may write into them."""
        kept, self._kept = self._kept, [None] * len(self._sources)
        return [self._one(arrays[i], dtype, k) for (i, _, dtype), k in zip(self._sources, kept)]

    def _one(self, array, dtype, kept):
        if kept is not None:
            ref, stamp, copy = kept
            if ref() is array and version_counters.stamp(array) == stamp:
                return copy
        return self._backend.kernels["cast"](array, dtype=dtype)

    def keep(self, results):
        """Keep the copies that a run has returned, behind what the caller is given, which is left."""
        first = len(results) - len(self._sources)
        copies = results[first:]
        del results[first:]
        self._kept = [
            (weakref.ref(results[o]), version_counters.stamp(results[o]), copy)
            for (_, o, _), copy in zip(self._sources, copies)
        ]
