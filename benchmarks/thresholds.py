"""Where the thresholds of `mlkit/core/machine.py` lie on this machine.

    python benchmarks/thresholds.py [NAME ...]

For a size from which on another way pays it prints both ways' times at sizes around it; for what is worked on at a time, the time
with other sizes. Times are the fastest of several runs. Rows of docs/performance.md say how the other thresholds were found.
"""

import importlib
import sys
import time
from typing import NamedTuple

import numpy as np

import mlkit
from mlkit import ops
from mlkit.core.machine import THRESHOLDS
from mlkit.primitives.fused import batch_norm

AROUND = 0.25, 0.5, 1, 2, 4
NEVER = 1 << 60  # a threshold that no size reaches


class Case(NamedTuple):
    """module, attribute: where the threshold is obeyed; make: size -> (function, arrays); at_a_time: whether it is worked on at a
    time; compiled: whether the function is run as a program."""

    module: str
    attribute: str
    make: object
    at_a_time: bool = False
    compiled: bool = True


def drawn(*shape):
    return np.random.default_rng(0).uniform(0.5, 1.5, shape).astype("float32")


def _rows(size, columns):
    return max(size // columns, 1), columns


def _convolution(size):
    """Three by three cells of an image of 16 channels, as columns of 576 bytes a cell; the bytes at a time change, not the image."""
    return lambda x, w: ops.conv(x, w, padding="same"), [
        drawn(8, 64, 64, 16).astype("float64"),
        drawn(3, 3, 16, 16).astype("float64"),
    ]


CASES = {
    "fuse_chains": Case("compiler.passes.fuse_chains", "SMALLEST", lambda n: (lambda x: (x * 2 + 1) * x - x / 3, [drawn(n)])),
    "chain_at_a_time": Case(
        "backends.native.tiled_chain", "BLOCK", lambda n: (lambda x: ops.exp(-x * x) * x + 1, [drawn(1 << 21)]), at_a_time=True
    ),
    "columns_at_a_time": Case("backends.native.geometry", "BLOCK_BYTES", _convolution, at_a_time=True),
    "chain_alone": Case("backends.native.onednn.post_op_chain", "ALONE", lambda n: (lambda x, y: x * y, [drawn(n), drawn(n)])),
    "onednn_sum": Case(
        "backends.native.onednn.reduction", "SMALL", lambda n: (lambda x: ops.sum(x, axis=0), [drawn(*_rows(n, 64))])
    ),
    "matmul_quick": Case(  # a way that is taken below, outside programs
        "backends.native.onednn.matmul",
        "SMALL",
        lambda n: (ops.matmul, [drawn(*_rows(n // 64, 64)), drawn(64, 64)]),
        compiled=False,
    ),
    "where_by_bits": Case(
        "backends.native.elementwise",
        "SMALL",
        lambda n: (lambda c, x: ops.where(c, x, 0.0), [drawn(n) > 1, drawn(n)]),
        compiled=False,
    ),
    "where_by_parts": Case(
        "backends.native.elementwise",
        "PART",
        lambda n: (lambda c, x, y: ops.where(c, x, y), [drawn(64, 1) > 1, drawn(64, n), drawn(64, n)]),
    ),
    "column_sums": Case(
        "backends.native.norm",
        "_WIDE",
        lambda n: (lambda x: batch_norm(x, None, None, axes=(0,), epsilon=0.1)[0], [drawn(1 << 14, 32).astype("float64")]),
        at_a_time=True,
    ),
}


def fastest(run, seconds=0.2):
    """Seconds of the fastest run, after one that is not counted."""
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def seconds(case, threshold, size, budget=0.2):
    """Those of a run of a case with a threshold at a size."""
    module = importlib.import_module(f"mlkit.{case.module}")
    kept = getattr(module, case.attribute)
    setattr(module, case.attribute, threshold)
    try:
        function, arrays = case.make(size)
        tensors = [ops.convert_to_tensor(a) for a in arrays]
        run = mlkit.function(function) if case.compiled else function
        return fastest(lambda: run(*tensors), budget)
    finally:
        setattr(module, case.attribute, kept)


def table(name, budget=0.2):
    """Lines that tell of a threshold."""
    case, (size, unit, why, _) = CASES[name], THRESHOLDS[name]
    lines = [f"{name}: {size:,} {unit} {why}"]
    for factor in AROUND:
        n = int(size * factor)
        if case.at_a_time:
            lines.append(f"{n:12,}  {seconds(case, n, n, budget) * 1e6:10.1f} us")
        else:
            small, large = (seconds(case, t, n, budget) * 1e6 for t in (NEVER, 0))
            lines.append(f"{n:12,}  as below {small:10.1f} us, as above {large:10.1f} us")
    return lines


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        print("\n".join(table(name)), flush=True)
