"""All-reduce of 100 MB in buckets of 8 MB."""

import statistics
import time

import numpy as np

from mlkit.core.state import state

buckets = [np.ones(2 << 20, "float32") for _ in range(12)]
seconds = []
for _ in range(12):
    state.communicator.all_reduce(np.zeros(1))
    start = time.perf_counter()
    for bucket in buckets:
        state.communicator.all_reduce(bucket)
    seconds.append(time.perf_counter() - start)
    for bucket in buckets:
        bucket[:] = 1
print("seconds", statistics.median(seconds[2:]))
