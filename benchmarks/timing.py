"""What the measuring scripts share: the clock, medians, peak memory, and the one line of JSON that each prints."""

import json
import os
import resource
import time

# CPU time of the process, on one core, is what remains meaningful on a machine that others use too
clock = time.process_time if os.environ.get("BENCHMARK_CLOCK") == "cpu" else time.perf_counter
MOST = 400  # calls after which a median is good enough


def median_ms(run, seconds, least=5):
    """Median milliseconds of a call, over at least `least` calls and about `seconds`, after one that is not counted."""
    run()
    times, end = [], clock() + seconds
    while len(times) < least or (clock() < end and len(times) < MOST):
        start = clock()
        run()
        times.append(clock() - start)
    return sorted(times)[len(times) // 2] * 1e3


def peak_mb():
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_result(**fields):
    """The result as the last line of standard output."""
    print(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in fields.items()}), flush=True)
