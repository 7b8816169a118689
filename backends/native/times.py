"""Kernel times of a plan, printed when the program ends (MLKIT_DEBUG=2)."""

import atexit
import time

from mlkit.core import debug


class Times:
    """Seconds spent in each call of a graph, summed over all runs."""

    def __init__(self, graph):
        self.graph, self.seconds, self.runs = graph, [0.0] * len(graph.calls), 0
        self._last = 0.0
        atexit.register(lambda: debug.say(self.table()))

    def tick(self, i):
        """Called after call i, and with -1 at the start of a run."""
        now = time.perf_counter()
        if i < 0:
            self.runs += 1
        else:
            self.seconds[i] += now - self._last
        self._last = time.perf_counter()

    def table(self, most=30):
        """The ops that took most, with their share and number of calls, as text."""
        by_op = {}
        for call, s in zip(self.graph.calls, self.seconds):
            total, count = by_op.get(call.op.name, (0.0, 0))
            by_op[call.op.name] = total + s, count + 1
        whole = sum(self.seconds) or 1.0
        calls, runs = len(self.graph.calls), max(self.runs, 1)
        lines = [f"kernel times of a plan of {calls} calls, {self.runs} runs, {whole / runs * 1e3:.3f} ms a run"]
        for name, (s, count) in sorted(by_op.items(), key=lambda x: -x[1][0])[:most]:
            lines.append(f"{name:30s}{count:6d} calls{s / runs * 1e6:12.1f} us a run{s / whole:7.1%}")
        return "\n".join(lines)
