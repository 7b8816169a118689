"""Processes that compute together: how each joins the others."""

import os

from mlkit.core.state import state
from mlkit.utils.seed import set_random_seed

_joined: list[str] = []  # names of the backends whose processes this one has joined
_as_launched: list[str] = []  # those of them that the launcher has joined, before the script


def initialize(job_addresses: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Join the processes that compute together. Each calls it, once, before anything is computed; in a script that `python -m mlkit
    launch` has started it is done already, and does no more.

    On the native engine the processes are those that mpiexec has started, and `job_addresses` only has to be the same on all.

    What is not given is taken from the environment: `KERAS_DISTRIBUTION_JOB_ADDRESSES`, `KERAS_DISTRIBUTION_NUM_PROCESSES`,
    `KERAS_DISTRIBUTION_PROCESS_ID`. All processes have the same random seed afterwards, that of process 0, so that they make equal
    weights and draw equal orders of the data.

    Args:
        job_addresses: "host:port" of all processes, separated by commas, or that of process 0 alone.
        num_processes: How many there are.
        process_id: The number of this one, from 0 on.

    Raises:
        RuntimeError: It was called before, or the processes did not find one another.
        ValueError: The numbers do not fit together.
        NotImplementedError: The backend computes in one process.
    """
    if state.backend.name in _joined and state.backend.name not in _as_launched:
        raise RuntimeError(
            "initialize: this process has joined the others already. Call it once, at the start of the script; it cannot be undone."
        )
    job_addresses = os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES") if job_addresses is None else job_addresses
    num_processes = _number("num_processes", num_processes)
    process_id = _number("process_id", process_id)
    listed = job_addresses.split(",") if job_addresses and "," in job_addresses else None
    if listed is not None and num_processes not in (None, len(listed)):
        raise ValueError(
            f"initialize: `job_addresses` has {len(listed)} addresses, {job_addresses}, but `num_processes` is {num_processes}."
        )
    num_processes = len(listed) if listed is not None else num_processes
    if num_processes is not None and process_id is not None and not 0 <= process_id < num_processes:
        raise ValueError(f"initialize: `process_id` must be in 0 ... {num_processes - 1}, but is {process_id}.")
    if state.backend.name in _as_launched:
        _as_launched.remove(state.backend.name)
        there, number = state.backend.processes()
        if num_processes not in (None, there) or process_id not in (None, number):
            raise ValueError(
                f"initialize: the script was started as process {number} of {there}, but says that it is {process_id} of {num_processes}."
            )
        return
    _join(job_addresses, num_processes, process_id)


def join_as_launched() -> None:
    """Join the processes that `python -m mlkit launch` has started, before the script runs."""
    if not state.backend.joins_by_mpi:
        raise NotImplementedError(
            f"launch: processes of the {state.backend.name} backend are not started by mpiexec. Start each one by hand, with "
            "mlkit.distribution.initialize(job_addresses, num_processes, process_id) at the head of the script."
        )
    _join(None, None, None)
    _as_launched.append(state.backend.name)


def _join(job_addresses, num_processes, process_id):
    state.backend.join(job_addresses, num_processes, process_id)
    _joined.append(state.backend.name)
    set_random_seed(state.backend.agreed(int.from_bytes(os.urandom(4), "little")))


def _number(name, given):
    """An argument, or what the environment says."""
    variable = f"KERAS_DISTRIBUTION_{name.upper()}"
    text = given if given is not None else os.environ.get(variable)
    try:
        return None if text is None else int(text)
    except ValueError:
        raise ValueError(f"initialize: {variable} must be a whole number, but is {text!r}.") from None
