"""Spark starts the processes: one barrier stage, whose tasks run the ranks of one MPI job. `SparkDistributor` has the arguments of
pyspark's TorchDistributor; `mlkit.distribution.run(..., engine="spark")` uses it."""

import json
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

from mlkit.distribution import gpus, launch, manual

try:
    from pyspark import BarrierTaskContext, cloudpickle
    from pyspark.sql import SparkSession
except ImportError as error:
    raise ImportError(f'engine="spark" needs PySpark ({error}). Install it with: pip install "mlkit-engine[spark]"') from error

_ON_CPU = {"MLKIT_DEVICE": "cpu"}  # variables of ranks that are to have no GPU
_KILLED = "was ended by SIG"  # as `launch.Ended` says it


class SparkDistributor:
    """Runs a function, or a script, in processes that train together, on the executors of Spark.

    Args:
        num_processes: How many processes: tasks of Spark, as many of which must run at a time.
        local_mode: Whether they run beside the driver, without Spark's executors.
        use_gpu: Whether each process has a GPU of its own: of Spark's executors, that which Spark gives to its task
            (``spark.task.resource.gpu.amount``). Else all compute on the CPU.

    Raises:
        ValueError: `num_processes` is less than 1; or, beside the driver, more than there are GPUs.

    Example: ``SparkDistributor(num_processes=4, local_mode=False, use_gpu=False).run(train, 0.1)``
    """

    def __init__(self, num_processes: int = 1, local_mode: bool = True, use_gpu: bool = True):
        if num_processes < 1:
            raise ValueError(f"SparkDistributor: there must be at least 1 process, but got {num_processes}.")
        if use_gpu and local_mode:
            gpus.require_on_this_host(num_processes)
        self.num_processes, self.local_mode, self.use_gpu = num_processes, local_mode, use_gpu

    def run(self, train_object: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
        """Run a function with these arguments, or a script with them as words of its command.

        Returns:
            What the function returns on rank 0; None for a script.

        Raises:
            RuntimeError: A process has failed; in `local_mode`. Spark says it with an error of its own.
        """
        if isinstance(train_object, str):
            if kwargs:
                raise TypeError(f"SparkDistributor.run: a script takes no arguments by name, but got {sorted(kwargs)}.")
            command, payload = [train_object, *map(str, args)], None
        else:
            command, payload = None, cloudpickle.dumps(lambda: train_object(*args, **kwargs))
        if self.local_mode:
            return _beside_the_driver(command, payload, self.num_processes, self.use_gpu)
        return self._on_executors(command, payload, 0)

    def _on_executors(self, command, payload, attempt):
        context = SparkSession.builder.getOrCreate().sparkContext
        stage = context.parallelize(range(self.num_processes), self.num_processes).barrier()
        use_gpu = self.use_gpu
        results = stage.mapPartitions(lambda _: _task(BarrierTaskContext.get(), command, payload, attempt, use_gpu)).collect()
        return pickle.loads(results[0]) if results else None


def run(fn: Callable[[], Any], num_workers: int, max_restarts: int, use_gpu: bool = False) -> Any:
    """Call a function on executors of Spark, again where a process was killed; see `mlkit.distribution.run`."""
    distributor = SparkDistributor(num_workers, local_mode=False, use_gpu=use_gpu)
    for attempt in range(max_restarts + 1):
        try:
            return distributor._on_executors(None, cloudpickle.dumps(fn), attempt)
        except Exception as error:  # Py4JJavaError, whose text is all that Spark brings of what a task has raised
            if attempt == max_restarts or _KILLED not in str(error):
                raise
            print(f"mlkit: starting all again ({attempt + 1} of at most {max_restarts} times).", file=sys.stderr)


def _beside_the_driver(command, payload, num_workers, use_gpu):
    folder = manual.new_folder()
    words = command or ["--call", _written(folder, payload)]
    if use_gpu:
        code = launch.launch([gpus.FLAG, *words], num_workers, logs=folder)
    else:
        code = launch.launch(words, num_workers, logs=folder, variables=_ON_CPU)
    if code:
        raise RuntimeError(
            f"SparkDistributor: the job has failed with exit status {code}; what its ranks said lies in {folder}."
        )
    results = _results(folder)
    manual.remove(folder)
    return pickle.loads(results[0]) if results else None


def _task(context, command, payload, attempt, use_gpu):
    """What each task does: the first of a host runs MPI's proxy, which starts the ranks of that host; the first of all, mpiexec."""
    number = context.partitionId()
    places = [info.address.rpartition(":")[0] for info in context.getTaskInfos()]
    nodes, job, proxy = manual.grouped(places), None, None

    def gathered(value):
        return [json.loads(text) for text in context.allGather(json.dumps(value))]

    given = gathered(_given_gpu(context) if use_gpu else None)
    if use_gpu and None in given:
        raise ValueError(
            f"`use_gpu=True`, but Spark has given no GPU to task {given.index(None)} on {places[given.index(None)]}. Ask for one a task: "
            "spark.task.resource.gpu.amount=1, with as many for each executor, spark.executor.resource.gpu.amount, as it has tasks."
        )
    folder = gathered(manual.new_folder() if number == 0 else None)[0]
    first_of_host = places.index(places[number]) == number
    try:
        if first_of_host:
            os.makedirs(folder, exist_ok=True)
            words = [*([gpus.FLAG] if use_gpu else []), *(command or ["--call", _written(folder, payload)])]
        if number == 0:
            job = manual.Job(nodes, launch.kept(folder, words), _environment(len(places), nodes, folder, attempt, use_gpu))
        lines = gathered(job.lines if job is not None else None)[0]
        if first_of_host:
            own = [gpu for gpu, place in zip(given, places) if place == places[number]]
            proxy = manual.run_proxy(
                lines[[node.name for node in nodes].index(places[number])], {gpus.VISIBLE: ",".join(own)} if use_gpu else {}
            )
        code = job.wait(folder) if job is not None else 0
        if proxy is not None:
            code = launch.waited(proxy, folder) or code
        trouble = list(filter(None, gathered(launch.explained(launch.first_failed(folder), code) if code else "")))
        if trouble:
            raise RuntimeError("\n".join(trouble))
        return _results(folder) if number == 0 else []
    finally:
        if job is not None:
            job.end()
        if first_of_host:
            manual.remove(folder)


def _given_gpu(context):
    """The GPU that Spark has given to this task, as the driver of GPUs knows it; None if it has given none."""
    found = context.resources().get("gpu")
    return found.addresses[0] if found is not None and found.addresses else None


def _environment(num_workers, nodes, folder, attempt, use_gpu):
    """The environment of all ranks; which GPUs they see is said on each host."""
    variables = launch.environment(num_workers, nodes, folder, attempt)
    return {k: v for k, v in variables.items() if k != gpus.VISIBLE} if use_gpu else {**variables, **_ON_CPU}


def _written(folder, payload):
    """The file with the function, for `worker`."""
    path = os.path.join(folder, "function")
    with open(path, "wb") as file:
        pickle.dump((sys.path, None, payload), file)
    return path


def _results(folder):
    """[what rank 0 has returned, pickled], or [] for a script."""
    path = os.path.join(folder, "function.result")
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        return [file.read()]
