"""The parent of one rank's process: keeps its output, and writes down how it ended. Run by its path: it imports nothing of mlkit.

python supervisor.py FOLDER COMMAND ...    with FOLDER/rank-N.json and FOLDER/rank-N.log of rank N
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")


def main(folder, command):
    """Run the command of this rank; the exit status, 128 + n for one that signal n ended."""
    rank = next((int(os.environ[name]) for name in _RANKS if name in os.environ), 0)
    report = {"rank": rank, "host": socket.gethostname(), "log": os.path.join(folder, f"rank-{rank}.log")}
    # The socket to mpiexec, PMI_FD, stays open here too: when it closes all ranks are killed, and before that the report is written.
    with open(report["log"], "ab") as log:
        child = _start(command, rank, log)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: child.send_signal(number))
        _write(folder, {**report, "pid": child.pid})
        copying = threading.Thread(target=_copy, args=(child.stderr, log), daemon=True) if rank == 0 else None
        if copying is not None:
            copying.start()
        code = child.wait()
        if copying is not None:
            copying.join(2)
    _write(folder, {**report, "pid": child.pid, "code": code, "ended": time.time()})
    return code if code >= 0 else 128 - code


def _start(command, rank, log):
    """Rank 0 prints where the launcher does, and its errors into the log as well; the others into their logs alone."""
    out, err = (None, subprocess.PIPE) if rank == 0 else (log, log)
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, close_fds=False, preexec_fn=die_with_parent
    )


def die_with_parent(number=signal.SIGKILL):
    """Called in a new process: it gets this signal when its parent ends, which may be killed without being asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _copy(stream, log):
    while piece := os.read(stream.fileno(), 1 << 16):
        log.write(piece)
        log.flush()
        os.write(2, piece)


def _write(folder, report):
    path = os.path.join(folder, f"rank-{report['rank']}.json")
    with open(path + ".part", "w") as file:
        json.dump(report, file)
    os.replace(path + ".part", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
