"""What this machine reaches at best, measured: the yardstick of profiles and benchmarks."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.function import function
from mlkit.core.machine import usable_cores
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.primitives.linear import matmul
from mlkit.primitives.movement import full
from mlkit.primitives.window import conv as convolution

futures = Deferred("concurrent.futures")


class Peaks(NamedTuple):
    """flops: floating-point operations a second; bandwidth: bytes read and written a second."""

    flops: float
    bandwidth: float


@functools.cache
def machine_peaks(clock: Callable[[], float] = time.perf_counter) -> Peaks:
    """The machine's `Peaks`, measured once, which takes about a second."""
    return measure_peaks(clock=clock)


def measure_peaks(repeat: int = 15, clock: Callable[[], float] = time.perf_counter) -> Peaks:
    """The `Peaks` of the fastest of `repeat` runs of a large product, a large convolution, and a copy between arrays that no
    cache holds. clock: gives seconds."""

    def filled(*shape: int) -> Tensor:
        return full(shape=shape, value=0.5, dtype="float32")

    product = function(matmul)
    conv = function(lambda x, w: convolution(x, w, strides=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1))
    a, x, w = filled(1024, 1024), filled(8, 56, 56, 64), filled(3, 3, 64, 64)
    rates = [
        2 * 1024**3 / _fastest(lambda: product(a, a), repeat, clock),
        2 * x.size * 9 * 64 / _fastest(lambda: conv(x, w), repeat, clock),
    ]
    return Peaks(max(rates), _bandwidth(repeat, clock))


def _fastest(run: Callable[[], Any], repeat: int, clock: Callable[[], float]) -> float:
    """Seconds of the fastest run, after one that is not counted."""

    def once() -> float:
        start = clock()
        run()
        state.backend.synchronize()
        return clock() - start

    once()
    return min(once() for _ in range(repeat))


def _bandwidth(repeat: int, clock: Callable[[], float], size: int = 1 << 24) -> float:
    """Bytes a second of a copy of float32 arrays in as many parts as there are cores."""
    threads = usable_cores()
    source, target = np.ones(size, "float32"), np.empty(size, "float32")
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads)))
    with futures.ThreadPoolExecutor(threads) as pool:
        seconds = _fastest(lambda: list(pool.map(lambda p: np.copyto(*p), parts)), repeat, clock)
    return 2 * source.nbytes / seconds
