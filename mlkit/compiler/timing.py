"""Times of the calls of a graph. A backend whose programs can tell them asks `times_for` when it makes a program."""

import atexit
import contextlib
import time
from collections.abc import Callable, Iterator

from mlkit.core import debug
from mlkit.core.graph import Graph
from mlkit.core.state import state, swapped


class Times:
    """Seconds spent in each call of a graph, summed over the runs since the last `take`.

    graph: as it is run, after all passes; inner: whether it is the body of a loop or condition, whose time is also counted by
    the call that runs it; clock: gives seconds.
    """

    def __init__(self, graph: Graph, inner: bool = False, clock: Callable[[], float] = time.perf_counter) -> None:
        self.graph, self.inner, self.clock = graph, inner, clock
        self.seconds, self.runs = [0.0] * len(graph.calls), 0
        self._last = 0.0

    def tick(self, i: int) -> None:
        """Called after call i, and with -1 at the start of a run."""
        now = self.clock()
        if i < 0:
            self.runs += 1
        else:
            self.seconds[i] += now - self._last
        self._last = self.clock()

    def take(self) -> list[float]:
        """The seconds of each call so far; counting starts anew."""
        seconds, self.seconds = self.seconds, [0.0] * len(self.seconds)
        return seconds

    def table(self, most: int = 30) -> str:
        """The ops that took most, with their share and number of calls, as text."""
        by_op: dict[str, tuple[float, int]] = {}
        for call, s in zip(self.graph.calls, self.seconds):
            total, count = by_op.get(call.op.name, (0.0, 0))
            by_op[call.op.name] = total + s, count + 1
        whole = sum(self.seconds) or 1.0
        calls, runs = len(self.graph.calls), max(self.runs, 1)
        lines = [f"kernel times of a plan of {calls} calls, {self.runs} runs, {whole / runs * 1e3:.3f} ms a run"]
        for name, (s, count) in sorted(by_op.items(), key=lambda x: -x[1][0])[:most]:
            lines.append(f"{name:30s}{count:6d} calls{s / runs * 1e6:12.1f} us a run{s / whole:7.1%}")
        return "\n".join(lines)


def times_for(graph: Graph, inner: bool = False) -> Times | None:
    """The `Times` that a new program of this graph must fill, or None: nobody asked, and the program need not stop to look."""
    if state.times is None and debug.LEVEL < 2:
        return None
    if state.times is None:
        times = Times(graph, inner)
        atexit.register(lambda: debug.say(times.table()))
        return times
    found, clock = state.times
    found.append(Times(graph, inner, clock))
    return found[-1]


@contextlib.contextmanager
def collecting(clock: Callable[[], float] = time.perf_counter) -> Iterator[list[Times]]:
    """A block in which programs are made with times; yields the list of their `Times`, which grows with each program made."""
    found: list[Times] = []
    with swapped(times=(found, clock)):
        yield found
