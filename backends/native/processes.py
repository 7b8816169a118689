"""The processes that train together on the native engine: joining them by MPI."""

import faulthandler
import importlib
import os

import numpy as np

from mlkit.core.communicator import timeout
from mlkit.core.deferred import Deferred
from mlkit.core.state import State, state

metadata = Deferred("importlib.metadata")

_LAUNCHED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID")  # what launchers of MPI say to each process

_START = 5  # times as long as ranks wait for one another later on: on a busy machine they begin at different times


def join(addresses, num_processes, process_id):
    """Put a communicator of all processes into the state of all threads."""
    if not any(name in os.environ for name in _LAUNCHED):
        if num_processes not in (None, 1):
            raise RuntimeError(
                f"initialize: this process was not started together with {num_processes - 1} other(s). Start the script by "
                f"`python -m mlkit launch -n {num_processes} SCRIPT`, or by mpiexec."
            )
        return
    faulthandler.dump_traceback_later(_START * timeout(), exit=True)  # MPI waits for ever where two ranks cannot talk
    mpi = importlib.import_module("mlkit.backends.native.mpi")  # only here: it starts MPI
    size = mpi.world_size()
    if num_processes not in (None, size):
        raise ValueError(f"initialize: `num_processes` is {num_processes}, but MPI has started {size} process(es).")
    mpi.stop_all_on_error()
    if size == 1:
        faulthandler.cancel_dump_traceback_later()
        return
    communicator = mpi.MpiCommunicator()
    faulthandler.cancel_dump_traceback_later()
    given = communicator.all_gather_values((addresses, process_id), "the arguments of initialize")
    if len({address for address, _ in given}) > 1:
        raise ValueError(f"initialize: `job_addresses` must be the same on all ranks, but is {[a for a, _ in given]}.")
    if any(number not in (None, rank) for rank, (_, number) in enumerate(given)):
        raise ValueError(
            f"initialize: `process_id` must be the number that MPI has given to each process, 0 ... {size - 1} in this order, "
            f"but is {[number for _, number in given]}."
        )
    State.communicator = communicator


def described():
    """The package that processes exchange arrays by, or how to get it; it is not imported, which would start MPI."""
    try:
        found = f"mpi4py {metadata.version('mpi4py')}"
    except metadata.PackageNotFoundError:
        return 'none (pip install "mlkit-engine[mpi]")'
    return found if state.communicator is None else f"{found}, rank {state.communicator.rank} of {state.communicator.size}"


def count_and_rank():
    """(number of processes, number of this one)"""
    communicator = state.communicator
    return (1, 0) if communicator is None else (communicator.size, communicator.rank)


def of_first(number):
    """The number that rank 0 has."""
    if state.communicator is None:
        return number
    value = np.array(number, "int64")
    state.communicator.broadcast(value, label="a number")
    return int(value)
