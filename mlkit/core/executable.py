"""Executable: what a backend makes of a graph."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.graph import Graph
from mlkit.core.program_cache import BYTES_OF_A_CALL


class Executable:
    """A graph made ready to run: a function of the arrays of the graph's inputs, which returns the list of those of its outputs.

    nbytes      about how many bytes it takes while it does not run
    plan        the `mlkit.compiler.plan.Plan` of its memory, or None where memory is not planned beforehand
    overwrites  numbers of the inputs that a run writes into; they belong to variables, and nobody else holds them then
    moved       whether a run has brought inputs from another device, which are in the list of arrays now; False again once it is seen
    """

    nbytes: int
    plan: Any = None
    overwrites: Sequence[int] = ()
    moved: bool = False

    def __init__(self, graph: Graph, run: Callable[[list], list] | None = None):
        self.nbytes = BYTES_OF_A_CALL * len(graph.calls)
        self._run = run

    def __call__(self, arrays: list) -> list:
        """The arrays of the outputs. The list may be changed; the arrays, but for those that it `overwrites`, may not."""
        return self._run(arrays)  # type: ignore[misc]  # without it, a subclass says what runs

    def current(self) -> "Executable":
        """What a call would run now, where this depends on settings; its `overwrites` are asked before it is called."""
        return self
