"""The processes that train together on the native engine: joining them by MPI, and the device that each computes on."""

import faulthandler
import importlib
import os

import numpy as np

from mlkit.core.communicator import timeout
from mlkit.core.deferred import Deferred
from mlkit.core.state import State, state

metadata, socket = Deferred("importlib.metadata"), Deferred("socket")

_LAUNCHED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID")  # what launchers of MPI say to each process
_LOCAL = ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID")  # and of those on its host

_START = 5  # times as long as ranks wait for one another later on: on a busy machine they begin at different times


def own_device(devices):
    """The one of the host's devices, the best first, that this process computes on unless it is told: of GPUs, that of its number on the
    host."""
    gpus = [name for name in devices if not name.startswith("cpu")]
    number = next((int(os.environ[name]) for name in _LOCAL if name in os.environ), 0)
    return gpus[number % len(gpus)] if gpus else devices[0]


def join(device, addresses, num_processes, process_id):
    """Put a communicator of all processes into the state of all threads. device: the `Device` that this one computes on."""
    if not any(name in os.environ for name in _LAUNCHED):
        if num_processes not in (None, 1):
            raise RuntimeError(
                f"initialize: this process was not started together with {num_processes - 1} other(s). Start the script by "
                f"`python -m mlkit launch -n {num_processes} SCRIPT`, or by mpiexec."
            )
        return
    faulthandler.dump_traceback_later(_START * timeout(), exit=True)  # MPI waits for ever where two ranks cannot talk
    try:
        mpi = importlib.import_module("mlkit.backends.native.mpi")  # only here: it starts MPI
        size = mpi.world_size()
        if num_processes not in (None, size):
            raise ValueError(f"initialize: `num_processes` is {num_processes}, but MPI has started {size} process(es).")
        mpi.stop_all_on_error()
        if size == 1:
            return
        communicator = mpi.MpiCommunicator()
    finally:
        faulthandler.cancel_dump_traceback_later()
    given = communicator.all_gather_values((addresses, process_id), "the arguments of initialize")
    if len({address for address, _ in given}) > 1:
        raise ValueError(f"initialize: `job_addresses` must be the same on all ranks, but is {[a for a, _ in given]}.")
    if any(number not in (None, rank) for rank, (_, number) in enumerate(given)):
        raise ValueError(
            f"initialize: `process_id` must be the number that MPI has given to each process, 0 ... {size - 1} in this order, "
            f"but is {[number for _, number in given]}."
        )
    _require_devices(communicator, device)
    State.communicator = device.communicator(communicator)


def _require_devices(communicator, device):
    """Raise RuntimeError, on all ranks, unless all compute on CPUs, or each on a GPU of its own."""
    found = communicator.all_gather_values((socket.gethostname(), device.name, device.place()), "devices")
    if len({name.partition(":")[0] for _, name, _ in found}) > 1:
        raise RuntimeError(
            f"initialize: all ranks must compute on GPUs, or none, but they compute on {', '.join(name for _, name, _ in found)}. "
            "MLKIT_DEVICE=cpu in the environment of all has them compute on CPUs."
        )
    places = [(host, place) for host, _, place in found]
    for rank, place in enumerate(places):
        first = places.index(place)
        if place[1] is not None and first < rank:
            raise RuntimeError(
                f"initialize: rank {first} and rank {rank} compute on the same GPU of {place[0]}, {place[1]}. Start one process for "
                "each GPU, and let MLKIT_DEVICE unset: then each takes that of its number. MLKIT_DEVICE=cpu does without."
            )


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
