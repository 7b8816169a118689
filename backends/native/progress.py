"""Progress of the ranks of one host: who has come to which collective. A thread looks at it and ends what waits too long.

A rank writes into its row of a small file that all ranks have mapped: how many collectives it has begun, how many it has ended, and
when it began to wait; once for those of its main thread, once for those of the thread by which arrays travel meanwhile. So a rank that
waits can say for whom, and one that is waited for can show where it is.
"""

import contextlib
import faulthandler
import os
import sys
import tempfile
import threading
import time

import numpy as np

from mlkit.core.exit_status import TIMED_OUT

_BEGUN, _ENDED, _SINCE = range(3)
_THREADS = 2


class Progress:
    """Rows of the ranks of all hosts, of which those on this host are filled.

    path: the file; hosts: that of each rank; timeout: seconds.
    """

    def __init__(self, path, rank, hosts, timeout):
        self._rank, self._hosts, self._timeout = rank, hosts, timeout
        self._what = [""] * _THREADS
        self._file = path if hosts[0] == hosts[rank] else f"{path}.{hosts[rank]}"
        with open(self._file, "ab") as file:
            file.truncate(_THREADS * len(hosts) * 3 * 8)
        self._rows = np.memmap(self._file, "float64", "r+", shape=(_THREADS, len(hosts), 3))
        threading.Thread(target=self._watch, name="mlkit collectives", daemon=True).start()

    @staticmethod
    def path():
        """A name for the file."""
        folder = os.environ.get("MLKIT_JOB_FOLDER") or ("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir())
        return os.path.join(folder, f"mlkit-ranks-{os.getpid()}-{time.monotonic_ns()}")

    def opened(self):
        """All ranks have mapped the file: its name can go."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._file)

    @contextlib.contextmanager
    def inside(self, what, apart=False):
        """A block that waits for the other ranks. apart: in the thread by which arrays travel."""
        thread = int(apart)
        self._what[thread], row = what, self._rows[thread, self._rank]
        row[_SINCE] = time.monotonic()
        row[_BEGUN] += 1
        try:
            yield
        finally:
            row[_ENDED] += 1

    def _watch(self):
        while True:
            time.sleep(min(1.0, self._timeout / 4))
            for thread, rows in enumerate(self._rows):
                waiting = np.flatnonzero(rows[:, _BEGUN] > rows[:, _ENDED])
                late = waiting[time.monotonic() - rows[waiting, _SINCE] > self._timeout]
                if len(late):
                    self._end(thread, rows, late)

    def _end(self, thread, rows, late):
        """Say what is known, and end the process; the launcher ends those that are left."""
        step = int(rows[late, _BEGUN].max())
        here = [r for r, host in enumerate(self._hosts) if host == self._hosts[self._rank]]
        missing = [r for r in here if rows[r, _BEGUN] < step]
        if self._rank in missing:
            text = (
                f"Rank {self._rank} on {self._hosts[self._rank]} has not come to collective {step}, for which the others wait."
            )
        else:
            names = ", ".join(f"rank {r} on {self._hosts[r]}" for r in missing) or "ranks of other hosts"
            text = (
                f"Rank {self._rank} on {self._hosts[self._rank]} has waited more than {self._timeout:g} s in collective {step}, the "
                f"{self._what[thread]}. Those that did not come: {names}."
            )
        print(f"\nmlkit: {text} It is here:", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        sys.stderr.flush()
        if self._rank not in missing:
            time.sleep(min(1.0, self._timeout / 4) * 2)  # so that those that are waited for can say where they are
        os._exit(TIMED_OUT)
