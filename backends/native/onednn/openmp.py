"""OpenMP, which comes with oneDNN: how many threads it has, and functions that run in them. `threads` is told of it."""

import ctypes

from mlkit.backends.native.onednn import kernel_steps
from mlkit.backends.native.onednn.library import library, load


def is_in_use():
    """Whether its threads may have been started."""
    return load.cache_info().currsize and library() is not None


def choose(number):
    """Use so many threads for what is called from this thread of ours."""
    lib = library()
    if lib is not None and lib.has("omp_set_num_threads"):
        lib.function("omp_set_num_threads")(ctypes.c_int(number))


def beside_one_another(tasks):
    """Run functions at the same time. False, and none has run, where it cannot."""
    if not kernel_steps.can_fork():
        return False
    kernel_steps.side_by_side([[task] for task in tasks])()
    return True
