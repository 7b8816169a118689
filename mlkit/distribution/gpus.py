"""GPUs of jobs that ask for them: whether a host has enough, and whether a process computes on one."""

from mlkit.core.backend import get_backend
from mlkit.core.state import state

FLAG = "--gpu"  # word before those of a worker whose process is to compute on a GPU
VISIBLE = "CUDA_VISIBLE_DEVICES"  # by which a process is told of the GPUs that it may see


def require_on_this_host(num_workers: int) -> None:
    """Raise ValueError unless each of so many processes on this host can have a GPU of its own."""
    native = get_backend("native")
    gpus = [name for name in native.devices() if name.startswith("cuda")]
    if len(gpus) < num_workers:
        raise ValueError(
            f"run: `use_gpu=True`: {num_workers} process(es) need a GPU each, but there are {len(gpus)}. {native.missing('cuda')}".rstrip()
        )


def require_here() -> None:
    """Raise RuntimeError unless this process computes on a GPU."""
    name = state.backend.device_name
    if name.startswith("cpu"):
        raise RuntimeError(
            f"`use_gpu=True`, but this process computes on {name}. {get_backend('native').missing('cuda')}".rstrip()
        )
