"""Whether all pairs of ranks can talk to one another, and how fast: `python -m mlkit launch --check`."""

import contextlib
import importlib
import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.communicator import timeout
from mlkit.distribution import hosts, link
from mlkit.distribution.supervisor import rank_of

_BYTES = 1 << 20
_PATIENCE = 10.0  # seconds for a connection, at most


def check(folder: str) -> None:
    """Send a message each way between all pairs of ranks, and write what came through into ``folder/rank-N.pairs``.

    Between hosts each pair first tries a TCP connection of its own: MPI does not begin where one pair cannot talk.
    """
    rank = rank_of(os.environ)
    if link.VARIABLE in os.environ:
        found = _greeted(os.environ[link.VARIABLE], rank)
        _write(folder, rank, found)
        if not all(link.meet(os.environ[link.VARIABLE], rank, None not in found.values())):
            return
    _write(folder, rank, _timed(rank))


def _greeted(variable, rank):
    """Rank above this one -> seconds for a byte over a new connection; None where there is no connection."""
    own = hosts.own_address(variable.split(" ")[0])
    limit = min(_PATIENCE, timeout())
    with socket.create_server((own, 0)) as server:
        threading.Thread(target=_answer, args=(server,), daemon=True).start()
        addresses = link.meet(variable, rank, [own, server.getsockname()[1]])
        found: dict[str, Any] = {}
        for other in range(rank + 1, len(addresses)):
            start = time.perf_counter()
            try:
                with socket.create_connection(addresses[other], timeout=limit) as connection:
                    connection.sendall(b"x")
                    answer = connection.recv(1)
            except OSError:
                answer = b""
            found[str(other)] = [(time.perf_counter() - start) / 2] * 2 if answer else None
        link.meet(variable, rank, "done")  # nobody needs the server any more
        return found


def _answer(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # closed
            return
        with contextlib.suppress(OSError), connection:
            connection.sendall(connection.recv(1))


def _timed(rank):
    """Rank above this one -> seconds for one byte, and for a MB, by MPI; one pair after the other."""
    comm, found = importlib.import_module("mpi4py.MPI").COMM_WORLD, {}  # only here: it starts MPI
    for a in range(comm.size):
        for b in range(a + 1, comm.size):
            if rank in (a, b):
                other = b if rank == a else a
                times = []
                for nbytes in (1, 1, _BYTES):  # the first makes the connection
                    start = time.perf_counter()
                    comm.Sendrecv(np.zeros(nbytes, "uint8"), other, recvbuf=np.empty(nbytes, "uint8"), source=other)
                    times.append((time.perf_counter() - start) / 2)
                if rank == a:
                    found[str(b)] = times[1:]
    return found


def _write(folder, rank, found):
    with open(os.path.join(folder, f"rank-{rank}.pairs"), "w") as file:
        json.dump(found, file)


def described(folder: str, hosts: Sequence[str]) -> tuple[list[str], bool]:
    """(lines about what `check` has written, whether all pairs can talk). hosts: that of each rank, "" where there is one."""
    names = [f"rank {r}{f' on {host}' if host else ''}" for r, host in enumerate(hosts)]
    every: dict[int, Any] = {}
    for r in range(len(names)):
        path = os.path.join(folder, f"rank-{r}.pairs")
        if os.path.exists(path):
            with open(path) as file:
                every[r] = json.load(file)
    lines = [f"{name}: did not start" for r, name in enumerate(names) if r not in every]
    fine = not lines
    for rank, found in sorted(every.items()):
        for other, seconds in found.items():
            if seconds is None:
                lines.append(f"{names[rank]} - {names[int(other)]}: cannot talk to one another")
                fine = False
            else:
                byte, megabyte = seconds
                lines.append(f"{names[rank]} - {names[int(other)]}: {byte * 1e6:.0f} us, {_BYTES / megabyte / 1e9:.2f} GB/s")
    return lines or ["one process: nobody to talk to"], fine
