"""The process that MPI's proxy starts for a rank where somebody else has started the rank's own: it brings it what the proxy gave, and
ends when that process ends. Run by its path: it imports nothing of mlkit.

python courier.py FOLDER
"""

import json
import os
import socket
import sys

DONE = b"done"
_LOST = "lost"
_RANK = "PMI_RANK"
_GIVEN = ("PMI_", "PMIX_", "MPI_", "MPIR_", "HYD", "FI_", "UCX_")  # with which the names of variables for MPI begin


def path(folder, rank):
    """The socket of a rank's courier."""
    return os.path.join(folder, f"rank-{rank}")


def main(folder):
    """Wait for the process, then for its end; 0 if it took leave, else it leaves word of it for `has_lost`."""
    os.makedirs(folder, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        own = path(folder, os.environ[_RANK])
        server.bind(own + ".part")
        server.listen(1)
        os.rename(own + ".part", own)
        seat, _ = server.accept()
    given = {name: value for name, value in os.environ.items() if name.startswith(_GIVEN)}
    files = [int(given["PMI_FD"])] if "PMI_FD" in given else []
    socket.send_fds(seat, [json.dumps(given).encode()], files)
    for file in files:
        os.close(file)  # the other process has it now, and mpiexec is to see when it ends
    if seat.recv(len(DONE)) == DONE:
        return 0
    open(os.path.join(folder, _LOST), "w").close()
    return 1


def has_lost(folder):
    """Whether a process of this host has ended without taking leave, which mpiexec does not always notice."""
    return os.path.exists(os.path.join(folder, _LOST))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
