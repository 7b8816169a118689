"""What is known of the machine: how many cores there are, what its caches hold, and from which sizes on another way of computing pays.

What follows from these numbers is speed, and at most the rounding of a sum; so they are the same on all machines, and a program gives the
same results on each. They were measured on x86-64 servers with 32 or 48 KB of first cache and 1 or 2 MB of second cache a core. (What
the system says of the last cache is of no use: a virtual machine is told of one that it shares with others.)

``THRESHOLDS`` is the table; each row is asked for in one place, where a module is imported that obeys it. With MLKIT_THRESHOLDS=0
all are 0, so that tests, whose tensors are small, take the ways of large ones.
"""

import os
from typing import NamedTuple

from mlkit.core import debug

CACHE_LINE = 64  # bytes, which is also what the widest vector loads ask for


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threshold(NamedTuple):
    """A size from which on another way of computing pays, or that is worked on at a time.

    found: the benchmark that found it: "script" for ``benchmarks/thresholds.py NAME``, else the beginning of a row of
    docs/performance.md, or "" for a bound on memory that is chosen.
    """

    size: int
    unit: str
    why: str
    found: str = "script"


_FIRST_CACHE = 32 << 10  # bytes of each core
_OWN_CACHE = 1 << 20  # bytes of the second cache of each core, or as much of it as is left beside what streams through
_SHARED = 24 << 20  # bytes that all caches keep between two passes over them
_ROWS_OF_EMBEDDING = "rows of an embedding's gradient are mostly different"
_BLOCKS = "channels-last is as fast as blocks of channels on AVX-512"

THRESHOLDS = {
    # caches
    "fuse_chains": Threshold(_FIRST_CACHE // 4, "elements", "what fits in the first cache gains little by being in a chain"),
    "chain_at_a_time": Threshold(1 << 15, "elements", "a block of a chain: flat from half to four times as many"),
    "columns_at_a_time": Threshold(2 << 20, "bytes", "columns of a convolution: best between 1 and 4 MB"),
    "rows_at_a_time": Threshold(
        1 << 17, "bytes", "rows that are combined, which then stay in a core's cache", _ROWS_OF_EMBEDDING
    ),
    "recurrent_in_cache": Threshold(
        _OWN_CACHE, "bytes", "weights that one core holds from step to step", "threads that share each step wait for each other"
    ),
    "scores_at_a_time": Threshold(
        4 << 20, "bytes", "scores of attention that stay in the caches", "attention a few samples at a time"
    ),
    "conv_in_cache": Threshold(
        4 << 20,
        "elements",
        "images that stay in the caches from one pass over them to the next",
        "blocked activations are faster",
    ),
    "block_channels": Threshold(_SHARED, "bytes", "of an image that the caches do not keep: better laid in blocks", _BLOCKS),
    "block_channels_beside": Threshold(
        4 << 20, "bytes", "of a neighbour of such images from which on it is better laid alike than copied", _BLOCKS
    ),
    "pages": Threshold(1 << 22, "bytes", "of an array for which NumPy asks for huge pages", "huge pages save page faults"),
    # threads
    "threads": Threshold(1 << 17, "elements", "that pay for a thread", "drawing weights is bound by Philox"),
    "one_thread": Threshold(
        1 << 17, "bytes", "of tensors that are passed over: fewer are left to one thread", "small variables need a path"
    ),
    "product_on_one_thread": Threshold(
        1 << 20,
        "multiplications",
        "of a product or a convolution: fewer are left to one thread",
        "small products want one thread",
    ),
    # what a call costs beside the work
    "chain_alone": Threshold(1 << 16, "elements", "of fewer NumPy is as fast for a single elementwise op"),
    "onednn_sum": Threshold(1 << 13, "elements", "of fewer NumPy is as fast for a sum"),
    "matmul_quick": Threshold(1 << 18, "multiplications", "of fewer NumPy is done before a primitive is found"),
    "update_alone": Threshold(1 << 11, "elements", "of fewer a kernel's call costs more than copies", "updates of many small"),
    "where_by_bits": Threshold(4000, "elements", "of fewer one call of a slow function is faster than five calls of fast ones"),
    "where_by_parts": Threshold(1000, "elements", "that one of a condition decides over: these are copied by themselves"),
    "column_sums": Threshold(2048, "elements", "of a row, which NumPy adds at full speed"),
    "rows_in_rounds": Threshold(32, "elements", "of a row from which on rows are combined one by one", _ROWS_OF_EMBEDDING),
    "long_runs": Threshold(8, "rows", "of a run from which on it is combined by itself", _ROWS_OF_EMBEDDING),
    "planes": Threshold(
        4, "channels", "up to which numbers are gathered faster than rows of channels", "rotating and zooming images costs"
    ),
    # kernels of oneDNN
    "matmul_laid_out": Threshold(
        512, "rows", "that make it worth while to lay out the other matrix anew", "`matmul` of oneDNN 3.2 is as fast as BLAS"
    ),
    "conv_in_blocks": Threshold(4, "channels", "of an image: those of fewer have kernels of their own", _BLOCKS),
    "resample_gradient": Threshold(
        8, "channels", "of fewer, products with matrices are up to ten times as fast", "enlarging images by repeating"
    ),
    # bounds
    "updates_together": Threshold(
        1 << 15,
        "elements",
        "of small variables that are updated together, which stay in a core's cache",
        "updates of many small",
    ),
    "split_scans": Threshold(
        1 << 16, "elements", "of a step's result: a call that makes a larger one gains nothing by being shared", ""
    ),
    "split_scans_in_all": Threshold(1 << 24, "elements", "of the results of all steps, which lie in memory together", ""),
    "fold": Threshold(1 << 14, "elements", "larger constants cost more memory than the time they save", ""),
    "hoist": Threshold(4096, "bytes", "that results computed once may be larger than arguments", ""),
}


def threshold(name: str) -> int:
    """The size in force.

    >>> from mlkit.core.machine import THRESHOLDS
    >>> threshold("fuse_chains"), THRESHOLDS["fuse_chains"].unit
    (8192, 'elements')
    """
    return THRESHOLDS[name].size if debug.THRESHOLDS else 0
