"""Calling a function in several processes that train together."""

import importlib
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import TypeVar

from mlkit.distribution import gpus
from mlkit.distribution.launch import launch

Result = TypeVar("Result")

_ENGINES = {"ray": "mlkit.distribution.ray_engine", "spark": "mlkit.distribution.spark_engine"}  # with packages of their own


def run(
    fn: Callable[[], Result],
    num_workers: int | tuple[int, int],
    engine: str = "local",
    max_restarts: int = 3,
    use_gpu: bool = False,
) -> Result:
    """Call a function in several processes that train together, as `python -m mlkit launch` runs a script.

    Args:
        fn: A function without arguments that can be pickled: one at the head of a module, or of the script, whose main part then stands
            below ``if __name__ == "__main__":`` (a `functools.partial` gives it arguments).
        num_workers: How many processes; or, with the engine "local", the least number and that at first, see `min_workers` of `launch`.
        engine: Who starts them: "local", on this machine; "ray", as workers of Ray Train, "spark", as tasks of one barrier stage. What
            the function needs can be pickled by cloudpickle then.
        max_restarts: How often all are started again after one was killed. `BackupAndRestore` lets `fit` go on where it was, with a
            folder that all hosts see.
        use_gpu: Whether each process has a GPU of its own, which the cluster of another engine gives it; else all compute on the CPU.

    Returns:
        What the function returns on rank 0.

    Raises:
        RuntimeError: A process has failed; the message says which, and what it said last. Or it has no GPU that it can use.
        ValueError: There is no such engine, or there are not enough GPUs.
        ImportError: What it needs is missing.
        NotImplementedError: A range of workers of another engine than "local".

    Example: ``history = mlkit.distribution.run(train, num_workers=2)``
    """
    if engine not in ("local", *_ENGINES):
        raise ValueError(f"run: `engine` must be one of local, {', '.join(_ENGINES)}, but is {engine!r}.")
    if engine in _ENGINES and not isinstance(num_workers, int):
        raise NotImplementedError(
            f"run: `num_workers` must be one number, but is {num_workers!r}: jobs of the engine {engine!r} do not change their size."
        )
    least, most = (None, num_workers) if isinstance(num_workers, int) else num_workers
    if engine in _ENGINES:
        return importlib.import_module(_ENGINES[engine]).run(fn, num_workers, max_restarts, use_gpu)
    if use_gpu:
        gpus.require_on_this_host(most)
    folder = tempfile.mkdtemp(prefix="mlkit-run-")
    path = os.path.join(folder, "function")
    with open(path, "wb") as file:
        pickle.dump((sys.path, _main_file(fn), pickle.dumps(fn)), file)
    words, device = ([gpus.FLAG], {}) if use_gpu else ([], {"MLKIT_DEVICE": "cpu"})
    code = launch([*words, "--call", path], most, max_restarts, logs=folder, min_workers=least, variables=device)
    if code:
        raise RuntimeError(f"run: the job has failed with exit status {code}; what its ranks said lies in {folder}. See above.")
    with open(path + ".result", "rb") as file:
        result = pickle.load(file)
    shutil.rmtree(folder)
    return result


def _main_file(fn):
    """The script that has to be run, though not as a script, before a function of its can be found."""
    inner = getattr(fn, "func", fn)  # of a functools.partial
    if getattr(inner, "__module__", None) != "__main__":
        return None
    path = getattr(sys.modules["__main__"], "__file__", None)
    if path is None or inner.__qualname__ != inner.__name__:
        raise ValueError(
            f"run: {inner!r} cannot be found by other processes. Put it at the head of a module, or of the script."
        )
    return os.path.abspath(path)
