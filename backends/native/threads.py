"""How many threads kernels use: oneDNN's (OpenMP), and those of NumPy's BLAS.

float32 products and convolutions run in oneDNN, all other products in BLAS. A program of either may have all threads. In one of
both BLAS gets a single one: its others would go on spinning for some 50 ms after each large product, and halve the speed of
all that oneDNN does meanwhile.
"""

import ctypes
import functools
import os
import threading
import warnings

import numpy as np

from mlkit.core.machine import threshold, usable_cores

FOR_A_THREAD = threshold("threads")
epoch = 0  # counts changes: what was prepared for another number of threads is made anew
listeners = []  # functions called when the number changes
openmp = None  # the module of the library that brings OpenMP, which puts it here
_chosen = None
_is_forked = False  # whether this process is a forked child that has not yet been told that it has one thread


def count():
    """The number in force: what was set, OMP_NUM_THREADS, or one for each core this process may use."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return _chosen or (int(first) if first.isdigit() and int(first) else usable_cores())


def choose(number):
    """Use so many threads from now on."""
    global epoch, _chosen
    _chosen = number
    epoch += 1
    for listener in listeners:
        listener()
    _set_blas(number)


def in_parts(work, size, step=1, least=FOR_A_THREAD):
    """``work(start, stop)`` for parts of range(size), beside one another. least: what pays for a thread. Parts begin at multiples
    of `step`."""
    length = max(-(-size // count()), least, 1)
    length = -(-length // step) * step
    failed = []

    def part(start):
        try:
            work(start, min(start + length, size))
        except Exception as error:  # in the thread that waits it is raised, in the others it would only be printed
            failed.append(error)

    _beside_one_another([functools.partial(part, start) for start in range(0, size, length)])
    if failed:
        raise failed[0]


def _beside_one_another(tasks):
    """Run functions at the same time: in OpenMP's threads where there are some, since these keep a core busy for a while after
    each of oneDNN's kernels, waiting for the next."""
    if len(tasks) > 1 and openmp is not None and openmp.beside_one_another(tasks):
        return
    others = [threading.Thread(target=task) for task in tasks[1:]]
    for thread in others:
        thread.start()
    for task in tasks[:1]:
        task()
    for thread in others:
        thread.join()


def apply():
    """Tell OpenMP, which asks for the number in each thread of ours."""
    _tell_of_fork()
    if openmp is not None and _chosen is not None:
        openmp.choose(_chosen)


def _after_fork():
    """One thread from now on: OpenMP's others stay behind with the parent, and a child that waits for them waits for ever."""
    global _is_forked
    if openmp is not None and openmp.is_in_use():  # else no threads have been started
        choose(1)
        apply()
        _is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _tell_of_fork():
    global _is_forked
    if _is_forked:
        _is_forked = False
        warnings.warn(
            "This process was forked from one in which mlkit had run; its threads do not survive that, so it computes on one. "
            'Start processes with multiprocessing.get_context("spawn") to use all.',
            stacklevel=2,
        )


class _OneBlasThread:
    """A block in which BLAS keeps to the thread that calls it."""

    def __enter__(self):
        _set_blas(1)

    def __exit__(self, *_):
        _set_blas(_chosen)


one_blas_thread = _OneBlasThread()


def _set_blas(number):
    """None: the number it had at first."""
    blas = _blas()
    if blas is not None:
        set_number, first = blas
        set_number(ctypes.c_int(number or first))


@functools.cache
def _blas():
    """(the function that sets the number of threads of the OpenBLAS in NumPy's wheels, the number it had at first); None where
    NumPy has another BLAS."""
    folder = os.path.join(os.path.dirname(os.path.dirname(np.__file__)), "numpy.libs")
    files = os.listdir(folder) if os.path.isdir(folder) else ()
    for file in sorted(f for f in files if "openblas" in f):
        blas = ctypes.CDLL(os.path.join(folder, file))
        for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
            if hasattr(blas, name.format("set")):
                return getattr(blas, name.format("set")), getattr(blas, name.format("get"))()
    return None
