"""Ray Train starts the processes: `mlkit.distribution.run(..., engine="ray")`, or `JoinedConfig` for a trainer of your own."""

import dataclasses
import os
import socket
from collections.abc import Callable
from typing import Any

from mlkit.core import debug
from mlkit.core.backend import set_device
from mlkit.core.state import state
from mlkit.distribution import gpus, hosts, manual, processes
from mlkit.distribution.in_force import set_distribution
from mlkit.distribution.strategies import DataParallel

try:
    import ray
    from ray import cloudpickle
    from ray.train.backend import Backend, BackendConfig
    from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
except ImportError as error:
    raise ImportError(f'engine="ray" needs Ray Train ({error}). Install it with: pip install "mlkit-engine[ray]"') from error

_job: dict[str, Any] = {}  # in a worker: its seat, and of some mpiexec and a proxy


@dataclasses.dataclass
class JoinedConfig(BackendConfig):
    """What a trainer of Ray needs so that its workers train together: they are the ranks of one MPI job, each in its own process, or,
    on the jax backend, the processes of `jax.distributed` (which Ray's own JaxTrainer leaves alone on CPUs). On the native engine a worker
    to which Ray has given a GPU computes on it, the others on the CPU.

    Example: ``ray.train.DataParallelTrainer(train, backend_config=JoinedConfig(), scaling_config=ScalingConfig(num_workers=2))``
    """

    @property
    def backend_cls(self):
        return JoinedBackend


class JoinedBackend(Backend):
    """Has Ray's workers join one another. Where one dies Ray makes a new group, and the job begins anew."""

    def on_start(self, worker_group, backend_config):
        places = worker_group.execute(_address)
        nodes = manual.grouped(places)
        if [node.name for node in nodes for _ in range(node.ranks)] != places:
            raise RuntimeError(
                f"JoinedConfig: workers of one host must follow one another, but they lie on {', '.join(places)}."
            )
        if not worker_group.execute_single(0, _joins_by_mpi):
            address = f"{places[0]}:{worker_group.execute_single(0, _free_port)}"
            ray.get([worker_group.execute_single_async(r, _initialize, address, len(places), r) for r in range(len(places))])
            return
        folder = worker_group.execute_single(0, manual.new_folder)  # on other hosts couriers make it
        worker_group.execute(_choose_device)
        lines = worker_group.execute_single(0, _begin, nodes, folder)
        firsts = [places.index(node.name) for node in nodes]
        ray.get([worker_group.execute_single_async(first, _run_line, line) for first, line in zip(firsts, lines)])
        ray.get([worker_group.execute_single_async(rank, _join, folder, rank, places[0]) for rank in range(len(places))])

    def on_shutdown(self, worker_group, backend_config):
        worker_group.execute(_leave)


def _address():
    return ray.util.get_node_ip_address()


def _joins_by_mpi():
    return state.backend.joins_by_mpi


def _choose_device():
    if ray.get_runtime_context().get_accelerator_ids()["GPU"]:
        gpus.require_here()
    elif not debug.DEVICE:
        set_device("cpu")


def _free_port():
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def _initialize(address, num_workers, rank):
    processes.initialize(address, num_workers, rank)  # which sees to it that JAX has found all of them
    set_distribution(DataParallel())


def _begin(nodes, folder):
    _job["mpiexec"] = manual.Job(nodes, manual.courier_command(folder), os.environ)
    return _job["mpiexec"].lines


def _run_line(line):
    _job["proxy"] = manual.run_proxy(line)


def _join(folder, rank, first):
    _job["folder"] = folder
    _job["seat"] = manual.Seat(folder, rank)
    hosts.use_interface_to(first)
    processes.join_as_launched()
    set_distribution(DataParallel())


def _leave():
    if "seat" in _job:
        _job["seat"].leave()
    for name in ("proxy", "mpiexec"):
        if name in _job:
            (_job[name] if name == "proxy" else _job[name].process).wait(10)
    manual.remove(_job.get("folder", ""))


@ray.remote
class _Box:
    """Holds what the function returns on rank 0."""

    def __init__(self):
        self._held = None

    def put(self, held):
        self._held = held

    def get(self):
        return self._held


def _train(config):
    result = cloudpickle.loads(config["function"])()
    if ray.train.get_context().get_world_rank() == 0:
        ray.get(config["box"].put.remote(cloudpickle.dumps(result)))


def run(fn: Callable[[], Any], num_workers: int, max_restarts: int, use_gpu: bool = False) -> Any:
    """Call a function in workers of Ray, with `use_gpu` each on a GPU, for which Ray waits; what it returns on rank 0. See
    `mlkit.distribution.run`."""
    if not ray.is_initialized():
        ray.init()
    box = _Box.remote()
    trainer = DataParallelTrainer(
        _train,
        train_loop_config={"function": cloudpickle.dumps(fn), "box": box},
        backend_config=JoinedConfig(),
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=max_restarts)),
    )
    trainer.fit()
    return cloudpickle.loads(ray.get(box.get.remote()))
