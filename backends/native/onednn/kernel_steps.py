"""How the steps of a kernel are run: functions without arguments that return a status, 0 if all went well."""

import contextlib
import ctypes
import functools
import itertools
import threading

from mlkit.backends.native.onednn.library import library


def run_all(steps):
    """One after the other. The first status that is not 0, or None."""
    for step in steps:
        status = step()
        if status:
            return status


def alone_where_small(steps):
    """The functions of (function, whether it is small); neighbours that are small are run by one thread: waking others takes
    longer, and much longer where they have other work."""
    lib = library()
    if not lib.has("omp_set_num_threads") or getattr(_local, "alone", False):
        return [run for run, _ in steps]
    out = []
    for is_small, group in itertools.groupby(steps, key=lambda s: s[1]):
        group = [run for run, _ in group]
        if is_small:
            out.append(_alone(lib, group[0] if len(group) == 1 else functools.partial(run_all, group)))
        else:
            out += group
    return out


@contextlib.contextmanager
def bound_for_one_thread():
    """A block; what is bound in it is run where one thread is in force anyway, see `OneThread`."""
    before, _local.alone = getattr(_local, "alone", False), True
    try:
        yield
    finally:
        _local.alone = before


class Threads:
    """A block in which OpenMP uses the thread that entered it alone, from `one()` until `all()`."""

    def __enter__(self):
        lib = library()
        self._number = 1
        if lib is not None and lib.has("omp_set_num_threads"):
            self._choose, self._number = lib.function("omp_set_num_threads"), lib.function("omp_get_max_threads")()
        return self

    def one(self):
        if self._number > 1:
            self._choose(1)

    def all(self):
        if self._number > 1:
            self._choose(self._number)

    def __exit__(self, *_):
        self.all()


class OneThread(Threads):
    """The same for the whole block."""

    def __enter__(self):
        super().__enter__()
        self.one()
        return self


def _alone(lib, run):
    """run, while OpenMP uses the thread that calls it alone."""
    count, choose = lib.function("omp_get_max_threads"), lib.function("omp_set_num_threads")

    def alone():
        threads = count()
        if threads == 1:
            return run()
        choose(1)
        try:
            return run()
        finally:
            choose(threads)

    return alone


def made_alone(make):
    """make(), a primitive for one thread: some have the number of threads in them, whatever it is when they run."""
    lib = library()
    return _alone(lib, make)() if lib.has("omp_set_num_threads") else make()


def side_by_side(branches):
    """A function that runs lists of steps at the same time, each list by one thread.

    The threads are OpenMP's own, in a parallel region of ours: inside it primitives run without waiting for other threads.
    """
    waiting, failed = [], []

    def work(_):
        while waiting:
            try:
                steps = waiting.pop()
            except IndexError:  # another thread was quicker
                return
            try:
                status = run_all(steps)
            except Exception as error:  # C would not pass it on
                status = error
            if status:
                failed.append(status)

    parallel, count = library().function("GOMP_parallel"), library().function("omp_get_max_threads")
    callback = _WORK(work)

    def run():
        failed.clear()
        waiting.extend(branches)
        parallel(callback, None, ctypes.c_uint(min(len(branches), count())), ctypes.c_uint(0))
        if failed and isinstance(failed[0], Exception):
            raise failed[0]
        return failed[0] if failed else None

    return run


def can_fork():
    """Whether OpenMP has what `side_by_side` needs."""
    lib = library()
    return lib is not None and lib.has("GOMP_parallel")


_local = threading.local()
_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
