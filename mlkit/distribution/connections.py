"""Whether all pairs of ranks can talk to one another, and how fast: `python -m mlkit launch --check`."""

import json
import time
from typing import Any

import numpy as np

_BYTES = 1 << 20


def check(communicator: Any, path: str) -> None:
    """Exchange a message of one byte and one of 1 MB between each pair of ranks, one pair after the other, and write what came through
    into ``path`` with the rank's number behind it."""
    rank, size = (0, 1) if communicator is None else (communicator.rank, communicator.size)
    found: dict[str, Any] = {}
    for a in range(size):
        for b in range(a + 1, size):
            if rank in (a, b):
                other = b if rank == a else a
                found[str(other)] = None
                _write(path, rank, found)  # first: the exchange may never end
                seconds = []
                for nbytes in (1, _BYTES):
                    start = time.perf_counter()
                    communicator.exchange(np.zeros(nbytes, "uint8"), other)
                    seconds.append((time.perf_counter() - start) / 2)
                found[str(other)] = seconds
                _write(path, rank, found)
    _write(path, rank, found)


def _write(path, rank, found):
    with open(f"{path}.{rank}", "w") as file:
        json.dump(found, file)


def described(path: str, size: int) -> tuple[list[str], bool]:
    """(lines about what `check` has written, whether all pairs can talk)."""
    lines, fine = [], True
    for rank in range(size):
        try:
            with open(f"{path}.{rank}") as file:
                found = json.load(file)
        except FileNotFoundError:
            lines.append(f"rank {rank}: did not start")
            fine = False
            continue
        for other, seconds in found.items():
            if int(other) > rank and seconds is not None:
                lines.append(f"rank {rank} - rank {other}: {seconds[0] * 1e6:.0f} us, {_BYTES / seconds[1] / 1e9:.1f} GB/s")
            elif int(other) > rank:
                lines.append(f"rank {rank} - rank {other}: cannot talk to one another")
                fine = False
    return lines or ["one process: nobody to talk to"], fine
