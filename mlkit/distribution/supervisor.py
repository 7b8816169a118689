"""The parent of one rank's process: keeps its output, and writes down how it ended. Run by its path: it imports nothing of mlkit.

python supervisor.py FOLDER COMMAND ...    with FOLDER/rank-N.json and FOLDER/rank-N.log of rank N
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_LINK = "MLKIT_LINK"  # variable: how to reach a launcher on another host; see `link`
_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")


def main(folder, command):
    """Run the command of this rank; the exit status, 128 + n for one that signal n ended."""
    die_with_parent(signal.SIGTERM)
    rank = rank_of(os.environ)
    os.makedirs(folder, exist_ok=True)  # on another host than the launcher's
    report = {"rank": rank, "host": socket.gethostname(), "log": os.path.join(folder, f"rank-{rank}.log")}
    # The socket to mpiexec, PMI_FD, stays open here too: when it closes all ranks are killed, and before that the report is written.
    with open(report["log"], "ab") as log:
        child = _start(command, rank, log)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: child.send_signal(number))
        signal.signal(
            signal.SIGUSR1, lambda number, frame: child.send_signal(signal.SIGTERM)
        )  # which mpiexec would not pass on
        _write(folder, {**report, "pid": child.pid})
        to_launcher = _linked(report, child)
        copying = threading.Thread(target=_copy, args=(child.stderr, log), daemon=True) if rank == 0 else None
        if copying is not None:
            copying.start()
        code = child.wait()
        if copying is not None:
            copying.join(2)
    report |= {"pid": child.pid, "code": code, "ended": time.time(), "step": _step(folder, rank)}
    _write(folder, report)
    if to_launcher is not None:
        to_launcher.close({**report, "files": _left(folder, rank)})
    return code if code >= 0 else 128 - code


def rank_of(environment):
    """The rank that a launcher of MPI has given to a process."""
    return next((int(environment[name]) for name in _RANKS if name in environment), 0)


def _step(folder, rank):
    """Where it was, by its `last_step`."""
    try:
        with open(os.path.join(folder, f"rank-{rank}.step"), errors="replace") as file:
            return file.read().strip(" \0")
    except FileNotFoundError:
        return ""


def _linked(report, child):
    """The link to a launcher on another host; None where there is one host."""
    if _LINK not in os.environ:
        return None
    link = importlib.import_module("link")  # beside this file, which is run by its path

    def on_end(why):
        child.kill()
        if why is not None:  # then mpiexec's own process here waits for it for ever
            print(f"mlkit: rank {report['rank']} on {report['host']} is stopped: {why}.", file=sys.stderr, flush=True)
            os.kill(os.getppid(), signal.SIGKILL)

    return link.Link(os.environ[_LINK], report, on_end)


def _left(folder, rank):
    """The ends of the files that a rank has left, by their names."""
    mine = [name for name in os.listdir(folder) if name.startswith(f"rank-{rank}.") and not name.endswith(".json")]
    return {name: importlib.import_module("link").last_of(os.path.join(folder, name)) for name in mine}


def _start(command, rank, log):
    """Rank 0 prints where the launcher does, and its errors into the log as well; the others into their logs alone."""
    out, err = (None, subprocess.PIPE) if rank == 0 else (log, log)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        close_fds=False,
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),
    )


def die_with_parent(number):
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
