"""The contract of the compiler: what a pass is, and all that passes may ask of a backend."""

import operator
from collections.abc import Callable, Iterable
from typing import Any

from mlkit.compiler.chain import Chain
from mlkit.core import debug
from mlkit.core.graph import Call, Graph
from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import as_arrays

_OP = operator.attrgetter("op")  # of a call


class Target:
    """What passes may ask of a backend. With the answers given here each leaves graphs as they are, but for algebra that needs no
    kernel; a backend that compiles says more."""

    channel_block: int | None = None  # how many channels lie together in images in blocks; None where no kernel gains by that

    smallest_chain: int | None = None  # elements from which on an op gains by being in a chain; None: those of a CPU's cache

    overlaps: bool = False  # whether arrays travel to other processes while calls run

    def runs(self, op: Op) -> bool:
        """Whether there is a kernel of an op."""
        return False

    def lacks(self, call: Call) -> bool:
        """Whether a call of a fused op must be replaced by its fallback."""
        return False

    def evaluate(self, call: Call) -> Any:
        """The results of a call of constants, an array or a tuple of them; None where they are not known while compiling."""
        return None

    def can_chain(self, call: Call) -> bool:
        """Whether a call may be part of a chain of elementwise ops."""
        return False

    def gains_alone(self, call: Call) -> bool:
        """Whether a call gains by being a chain of its own."""
        return False

    def joins(self, call: Call) -> Chain | None:
        """The chain that a call is, where several over tensors of any sizes are one launch; None where it stays alone."""
        return None

    def keeps(self, call: Call) -> Spec | None:
        """The Spec of what the kernel of a call can keep for the call's gradient, or None."""
        return None


class KernelTarget(Target):
    """A backend of which only the kernels are known: op name -> kernel."""

    def __init__(self, kernels: dict[str, Any]) -> None:
        self.kernels = kernels

    def runs(self, op: Op) -> bool:
        return op.name in self.kernels

    def lacks(self, call: Call) -> bool:
        if call.op.fallback is None:
            return False
        kernel = self.kernels.get(call.op.name)
        return kernel is None or (hasattr(kernel, "declines") and kernel.declines(*call.args, **call.params))

    def evaluate(self, call: Call) -> Any:
        return as_arrays(self.kernels[call.op.name](*call.args, **call.params)) if self.runs(call.op) else None


class Pass:
    """A step of the way from a traced graph to the one that is planned.

    name      as `MLKIT_PASSES_OFF` has it
    run       (graph, target) -> graph
    exact     whether it keeps every bit of every result
    needs     ops without any of which a graph stays as it is; empty where that is not known
    optional  whether a graph can do without it
    """

    __slots__ = ("name", "run", "exact", "needs", "optional")

    def __init__(
        self,
        name: str,
        run: Callable[[Graph, Target], Graph],
        *,
        exact: bool = False,
        needs: Iterable[Op] = (),
        optional: bool = True,
    ) -> None:
        self.name, self.run, self.exact, self.needs, self.optional = name, run, exact, frozenset(needs), optional

    def is_wanted(self, exact: bool) -> bool:
        """Whether it is to be applied. exact: whether every bit is to be kept."""
        return not self.optional or not (debug.is_off(self.name) or (exact and not self.exact))

    def has_work(self, graph: Graph) -> bool:
        """Whether the graph has any of the ops it needs."""
        return not self.needs or not self.needs.isdisjoint(map(_OP, graph.calls))
