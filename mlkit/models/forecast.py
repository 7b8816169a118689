"""Forecast: how fast many processes would train, from a step measured here and what is said of the network. Never a measurement."""

import dataclasses
from typing import Any

from mlkit.core import dtypes
from mlkit.core.spec import size_of
from mlkit.distribution.buckets import in_buckets
from mlkit.models.profile import profile
from mlkit.pictures.table import Table


@dataclasses.dataclass
class Bucket:
    """Tensors that travel together, gradients mostly: names of the first and the last, bytes, and seconds: when the last of them is made
    (from the start of the step), how long they travel, and how much of that nothing hides."""

    first: str
    last: str
    nbytes: int
    ready: float
    seconds: float
    exposed: float = 0.0


@dataclasses.dataclass
class Forecast:
    """What `forecast` found.

    workers: how many processes; step: seconds of one process's step; exposed: seconds that a step would wait for the network;
    buckets: what travels, in its order; overlaps: whether gradients travel while others are computed; measured: whether the step was
    measured here, or given.
    """

    workers: int
    step: float
    buckets: list[Bucket]
    overlaps: bool
    measured: bool = True

    @property
    def exposed(self) -> float:
        return sum(bucket.exposed for bucket in self.buckets)

    @property
    def speedup(self) -> float:
        """How many times as many samples a second, each process having the batch that one had."""
        return self.workers * self.efficiency

    @property
    def efficiency(self) -> float:
        return self.step / (self.step + self.exposed)

    def __str__(self) -> str:
        way = "while the rest of the gradients is computed" if self.overlaps else "when all gradients are computed"
        rows = [
            [
                f"{b.first} ... {b.last}" if b.first != b.last else b.first,
                b.nbytes,
                f"{b.seconds * 1e3:.2f}",
                f"{b.exposed * 1e3:.2f}",
            ]
            for b in self.buckets
        ]
        return "\n".join(
            [
                f"FORECAST, not measured: {self.workers} processes, gradients travel {way}.",
                f"step of one process, {'measured' if self.measured else 'given'}: {self.step * 1e3:.2f} ms; "
                f"waiting for the network: {self.exposed * 1e3:.2f} ms",
                f"{self.speedup:.1f} times as fast as one process, {self.efficiency:.0%} of {self.workers} times",
                str(Table(["what travels", "bytes", "ms to travel", "ms waited for"], rows)),
            ]
        )

    __repr__ = __str__


def ring_seconds(nbytes: int, workers: int, bandwidth: float, latency: float) -> float:
    """Seconds of a ring all-reduce: each process sends 2 (p - 1) / p of the bytes, in 2 (p - 1) messages (Patarasuk and Yuan, 2009)."""
    return 2 * (workers - 1) * (nbytes / workers / bandwidth + latency)


def forecast(
    model: Any,
    batch: Any,
    workers: int = 64,
    bandwidth: float = 12.5e9,
    latency: float = 5e-6,
    overlap: bool = False,
    runs: int = 5,
    step: float | None = None,
) -> Forecast:
    """What training in many processes would bring, predicted from the step of one.

    Args:
        model: A compiled model.
        batch: ``(x, y)`` or ``(x, y, sample_weight)``, what each process would compute.
        workers: How many processes.
        bandwidth: Bytes a second from one process to the next; 100 Gbit/s unless given.
        latency: Seconds that a message takes at least.
        overlap: Whether gradients travel while others are computed.
        runs: How often the step is measured.
        step: Seconds of a step of one process on the machine in question, if not on this one: what is measured here then only says how
            its parts compare.

    Returns:
        A `Forecast`, which prints as a table of buckets.

    >>> import mlkit, numpy as np
    >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(2)])
    >>> model.compile("sgd", "mse")
    >>> found = forecast(model, (np.ones((8, 4)), np.ones((8, 2))), workers=4)
    >>> str(found).startswith("FORECAST, not measured: 4 processes")
    True
    """
    if workers < 1 or bandwidth <= 0 or latency < 0 or (step is not None and step <= 0):
        raise ValueError(
            f"forecast: there must be at least 1 worker, a positive bandwidth, no negative latency and a positive step, but "
            f"got {workers}, {bandwidth}, {latency} and {step}."
        )
    report = profile(model, *batch, training=True, runs=runs)
    whole = report.seconds if step is None else step
    ready = {layer: seconds * whole / report.seconds for layer, seconds in _ready(report).items()}
    computed = max(ready.values(), default=whole)
    buckets = []
    for group in _together(model.trainable_variables[::-1]):
        made = max((ready.get(v.path.rpartition("/")[0], whole) for v in group), default=whole)
        buckets.append(_bucket(group, made if overlap else computed, workers, bandwidth, latency))
    metrics = model.metrics_variables
    seen = {id(v) for v in metrics}
    averages = [v for v in model.non_trainable_variables if dtypes.is_float(v.dtype) and id(v) not in seen]
    rest = (*_together(averages), *_together(metrics))
    buckets += [_bucket(group, computed, workers, bandwidth, latency) for group in rest]
    free = 0.0  # when the network is free again
    for bucket in buckets:
        start = max(free, bucket.ready)
        free = start + bucket.seconds
        bucket.exposed = max(0.0, free - max(start, computed))
    return Forecast(workers, whole, buckets, overlap, step is None)


def _together(variables):
    """Variables, those that travel together in one list."""
    return [[variables[k] for k in numbers] for numbers in in_buckets(list(enumerate(variables)))]


def _bucket(group, ready, workers, bandwidth, latency):
    nbytes = sum(size_of(v.shape) * dtypes.itemsize(v.dtype) for v in group)
    return Bucket(group[0].path, group[-1].path, nbytes, ready, ring_seconds(nbytes, workers, bandwidth, latency))


def _ready(report):
    """Path of a layer -> seconds from the start of the step to the end of its gradient's last call."""
    now, ready = 0.0, {}
    for layer, _, row in report.rows:
        now += row.seconds
        if row.backward:
            ready[layer] = now
    return ready
