"""What a server counts, in the text form of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats
"""

import bisect
import json
import threading
from collections.abc import Iterable
from typing import Any

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_COUNTERS = {
    "mlkit_requests_total": "Requests answered, by model, protocol and status.",
    "mlkit_loads_total": "Versions of models loaded, by result.",
}
_HISTOGRAMS = {
    "mlkit_request_seconds": (_SECONDS, "Time from a request's head to its answer."),
    "mlkit_batch_seconds": (_SECONDS, "Time that a model took for a batch."),
    "mlkit_batch_rows": (_ROWS, "Rows of a batch, without padding."),
}
_GAUGES = {
    "mlkit_queue_requests": "Requests that wait for a model, in the process that is asked.",
    "mlkit_model_version": "The version that is served.",
    "mlkit_model_bytes": "Memory that a model takes, about.",
}
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters and histograms. They only grow, so that those of several processes can be added up: `snapshot`, `add`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counters: dict[tuple[str, Labels], float] = {}
        self.histograms: dict[
            tuple[str, Labels], list[float]
        ] = {}  # a count for each bucket and for what is above, then the sum

    def request(self, model: str, protocol: str, status: int, seconds: float) -> None:
        labels = ("model", model), ("protocol", protocol), ("code", str(status))
        with self._lock:
            self._count("mlkit_requests_total", labels, 1)
            self._observe("mlkit_request_seconds", labels[:1], seconds)

    def batch(self, model: str, rows: int, seconds: float) -> None:
        labels = (("model", model),)
        with self._lock:
            self._observe("mlkit_batch_seconds", labels, seconds)
            self._observe("mlkit_batch_rows", labels, rows)

    def load(self, model: str, result: str) -> None:
        with self._lock:
            self._count("mlkit_loads_total", (("model", model), ("result", result)), 1)

    def _count(self, name: str, labels: Labels, by: float) -> None:
        self.counters[name, labels] = self.counters.get((name, labels), 0) + by

    def _observe(self, name: str, labels: Labels, value: float) -> None:
        bounds = _HISTOGRAMS[name][0]
        counts = self.histograms.get((name, labels))
        if counts is None:
            counts = self.histograms[name, labels] = [0.0] * (len(bounds) + 2)
        counts[bisect.bisect_left(bounds, value)] += 1
        counts[-1] += value

    # ---- of several processes ----------------------------------------------------------------------------------------

    def snapshot(self) -> str:
        """All of it as text for `add`."""
        with self._lock:
            return json.dumps([[[*k, v] for k, v in self.counters.items()], [[*k, v] for k, v in self.histograms.items()]])

    def add(self, snapshot: str) -> None:
        """Count what another process has counted."""
        counters, histograms = json.loads(snapshot)
        with self._lock:
            for name, labels, value in counters:
                self._count(name, _labels(labels), value)
            for name, labels, values in histograms:
                key = name, _labels(labels)
                known = self.histograms.get(key)
                self.histograms[key] = values if known is None else [a + b for a, b in zip(known, values)]

    # ---- text --------------------------------------------------------------------------------------------------------

    def text(self, gauges: Iterable[tuple[str, str, float]] = ()) -> str:
        """gauges: (name, model, value) of what is now."""
        lines: list[str] = []
        with self._lock:
            for name, help in _COUNTERS.items():
                lines += _head(name, "counter", help)
                lines += [_line(name, labels, value) for (n, labels), value in self.counters.items() if n == name]
            for name, (bounds, help) in _HISTOGRAMS.items():
                lines += _head(name, "histogram", help)
                for (n, labels), counts in self.histograms.items():
                    if n == name:
                        lines += _histogram(name, labels, bounds, counts)
        given = list(gauges)
        for name, help in _GAUGES.items():
            lines += _head(name, "gauge", help)
            lines += [_line(name, (("model", model),), value) for n, model, value in given if n == name]
        return "\n".join(lines) + "\n"


def _labels(listed: Any) -> Labels:
    return tuple((k, v) for k, v in listed)


def _head(name: str, kind: str, help: str) -> list[str]:
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: Labels, value: float) -> str:
    return f"{name}{{{','.join(f'{k}={_quoted(v)}' for k, v in labels)}}} {value:.10g}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _histogram(name: str, labels: Labels, bounds: Iterable[float], counts: list[float]) -> list[str]:
    lines, total = [], 0.0
    for bound, count in zip([*bounds, "+Inf"], counts):
        total += count
        lines.append(_line(f"{name}_bucket", (*labels, ("le", str(bound))), total))
    return [*lines, _line(f"{name}_sum", labels, counts[-1]), _line(f"{name}_count", labels, total)]
