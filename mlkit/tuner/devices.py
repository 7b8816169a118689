"""Which GPU runs a trial: each has one at a time."""

import contextlib
import os
import socket
from collections.abc import Iterator

from mlkit import config
from mlkit.core import debug
from mlkit.core.state import state
from mlkit.tuner.store import fcntl


def gpus() -> list[str]:
    """Names of the devices that are no CPU; none where MLKIT_DEVICE has chosen one."""
    return [] if debug.DEVICE else [name for name in state.backend.devices() if not name.startswith("cpu")]


def resources() -> dict[str, int]:
    """What a trial in a worker of Ray's takes."""
    return {"cpu": 1, "gpu": 1} if gpus() else {"cpu": 1}


@contextlib.contextmanager
def own_gpu(folder: str) -> Iterator[str | None]:
    """A block of a process that computes on a GPU of this machine which no other process of the search uses; on what there is, if that
    is no GPU.

    Args:
        folder: The search's.

    Raises:
        RuntimeError: All GPUs are taken.
    """
    names = gpus()
    if not names:
        yield None
        return
    for name in names:
        with open(os.path.join(folder, f"{name.replace(':', '_')}_of_{socket.gethostname()}"), "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
            except OSError:
                continue
            before = state.backend.device_name
            config.set_device(name)
            try:
                yield name
            finally:
                config.set_device(before)
            return
    raise RuntimeError(
        f"search: each of this machine's GPUs ({', '.join(names)}) has a process of the search {folder!r}. Start no more of them here, or "
        "set MLKIT_DEVICE=cpu for those that are to run beside them."
    )
