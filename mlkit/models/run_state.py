"""A run of `fit` as a file: all that decides how it goes on, so that one that was killed ends in the same numbers as one that was not.

The file is an archive of arrays without pickled objects, each with a checksum. One of them, "state", is JSON: epoch, place in the data,
random states, what callbacks know; arrays in it are named by their numbers in the archive. The others are the variables: of the model
(random seeds among them), the optimizer and the metrics.

Where several processes hold parts of a variable each writes its own, with where they begin: the first into that file, process 3, say, into
one with ".3" behind its name. Whoever loads puts them together, and then cuts them as the distribution in force says.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.communicator import replicas, timeout
from mlkit.core.deferred import Deferred
from mlkit.core.state import state as in_force
from mlkit.data.adapters import set_state_of
from mlkit.models.journal import Journal
from mlkit.models.saving.replacing import replacing
from mlkit.objects.seed_generator import global_seed_generator

json, zipfile = Deferred("json"), Deferred("zipfile")

_VERSION = 3
_LOOK = 0.05  # seconds between looks at whether other processes have written


class Run:
    """What a `fit` under way consists of: the callbacks, and the batches by epoch.

    first, logs: how many batches of its first epoch have run before, and what they gave. wanted: a state that it is to begin with.
    epoch: the one under way. group: the batches between the last two turns of callbacks. step: what runs in place of the train step,
    if something does. journal: the way back to the values before the group, if somebody has them noted.
    """

    def __init__(self, callbacks: Any, batches: Any):
        self.callbacks, self.batches = callbacks, batches
        self.first, self.logs, self.wanted, self.epoch, self.group = 0, None, None, 0, []
        self.step: Callable[[Any], Any] | None = None
        self.journal: Journal | None = None


def captured(model: Any, epoch: int) -> Callable[[str], None] | None:
    """What writes the run that the model is in, as it is now, into a file: a function of its path, which any thread may call. epoch: the
    one to go on with. Of processes that train together the first writes, with what the metrics of each have seen, and returns when the
    others have; these get None unless they hold parts of variables that they are to write."""
    state: dict[str, Any] = {"version": _VERSION, "epoch": epoch, "random": _random_state()}
    run = model._training.run
    if run is not None:
        state["batches"], state["stop"] = run.batches.get_state(), model.stop_training
        state["logs"] = {k: np.asarray(v).item() for k, v in model.get_metrics_result().items() if np.size(v) == 1}
        state["callbacks"] = [[type(c).__name__, c.get_state()] for c in run.callbacks.callbacks]
    metrics = _metrics_of_all_ranks(model)
    if metrics is None:
        return None
    variables = _variables(model)
    number, held, others = in_force.backend.processes()[1], *_held(variables)
    if number:
        return functools.partial(_write, f".{number}", held, ()) if others else None
    state["variables"], state["others"] = _specs(variables), others
    text = json.dumps(_packed(state, held))
    return functools.partial(_write, "", {"state": np.frombuffer(text.encode(), "uint8"), **held, **metrics}, others)


def _write(suffix: str, arrays: dict[str, np.ndarray], others: Sequence[int], path: str) -> None:
    """Write a file, and return when the other processes of these numbers have written theirs."""
    with replacing(path + suffix) as file:
        np.savez(file, allow_pickle=False, **arrays)
    end = time.monotonic() + timeout()
    for number in others:
        while not os.path.exists(f"{path}.{number}"):
            if time.monotonic() > end:
                raise OSError(
                    f"Process {number} has not written its part of {path} after {timeout():g} s. All processes need the same folder."
                )
            time.sleep(_LOOK)


def _held(variables):
    """(name in the archive -> array, of what this process is to write; numbers of the other processes that write parts)"""
    arrays, is_cut = {}, False
    count, number = in_force.backend.processes()
    for k, v in enumerate(variables):
        parts = in_force.backend.parts(v.value.data)
        if parts is not None:
            is_cut = True
            arrays.update({f"variable {k} from {' '.join(map(str, starts))}": part for starts, part in parts})
        elif number == 0:
            arrays[f"variable {k}"] = v.numpy()
    return arrays, list(range(1, count)) if is_cut else []


def load(model: Any, path: str) -> int:
    """Set the model's and the optimizer's variables, and let the run under way go on from there. The epoch to go on with.

    Raises:
        ValueError: The file is damaged, or is of another model; nothing has changed then.
    """
    try:
        arrays = _read(path)
        state = _unpacked(json.loads(arrays.pop("state").tobytes()), arrays)
        version = state["version"]
        for number in state.get("others", ()):
            arrays.update(_read(f"{path}.{number}"))
        values = [_value(arrays, k, dtype, shape) for k, (_, dtype, shape) in enumerate(state.get("variables", ()))]
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged, or no backup: {error}") from error
    if version != _VERSION:
        raise ValueError(f"{path} was written by another version of mlkit (form {version}, expected {_VERSION}).")
    variables = _variables(model)
    expected, found = ([(path, tuple(shape)) for path, *_, shape in own] for own in (_specs(variables), state["variables"]))
    if [s for _, s in expected] != [s for _, s in found]:
        k = next((k for k, (a, b) in enumerate(zip(expected, found)) if a[1] != b[1]), min(len(expected), len(found)))
        here, there = (f"{p[k][0]} {p[k][1]}" if k < len(p) else "nothing" for p in (expected, found))
        raise ValueError(
            f"{path} is of another model: variable {k} is {here} here and {there} there. Begin with an empty folder, or build the "
            "model as it was."
        )
    for variable, value in zip(variables, values):
        variable.assign(value)
    if model._training.run is not None:
        state["metrics"] = _metrics_of_this_rank(arrays)
        model._training.run.wanted = state
    return state["epoch"]


def _read(path):
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:  # NumPy leaves a damaged one open
        return dict(archive)


def _value(arrays, k, dtype, shape):
    """The value of a variable, from its parts where it has some."""
    kind = dtypes.as_numpy(dtype)
    if f"variable {k}" in arrays:
        return arrays[f"variable {k}"].view(kind)  # NumPy's files do not know the names of half floats
    value, filled = np.empty(shape, kind), 0
    for name in [name for name in arrays if name.startswith(f"variable {k} from ")]:
        part, starts = arrays.pop(name).view(kind), map(int, name.split()[3:])
        value[tuple(slice(start, start + n) for start, n in zip(starts, part.shape))] = part
        filled += part.size
    if filled != value.size:
        raise ValueError(f"of variable {k} there are {filled} numbers of {value.size}")
    return value


def _specs(variables):
    return [[v.path, v.dtype, list(v.shape)] for v in variables]


def begin(model: Any, run: Run) -> Callable[[Iterator], Iterator] | None:
    """After all callbacks have begun: give them and the data back what they knew. What the batches of the first epoch go through;
    None where training begins at the beginning."""
    state, run.wanted = run.wanted, None
    if state is None:
        return None
    known = [list(one) for one in state["callbacks"]]
    for callback in run.callbacks.callbacks:
        place = next((k for k, (name, _) in enumerate(known) if name == type(callback).__name__), None)
        if place is not None:
            callback.set_state(known.pop(place)[1])
    model.stop_training = state["stop"]
    _set_random_state(state["random"])
    run.first, run.logs = run.batches.set_state(state["batches"]), state["logs"]
    return functools.partial(_resumed, model, state) if run.first else None


def _resumed(model, state, batches):
    """The batches that are left of an epoch; before the first one all is as it was when the backup was made."""
    with contextlib.closing(batches):
        first = next(batches, None)
        if first is not None:
            model._training.prepare(model, first)
        for variable, value in zip(model.metrics_variables, state["metrics"]):
            variable.assign(value)
        _set_random_state(state["random"])
        if first is not None:
            yield first
            yield from batches


def _metrics_of_all_ranks(model):
    """Name -> value of the variables of metrics, of each rank; None where another rank is to write them."""
    values, group = [v.numpy() for v in model.metrics_variables], replicas()
    every = [values] if group is None else group.communicator.all_gather_values(values, "variables of metrics")
    if group is not None and group.rank:
        return None
    return {f"metric {k} of rank {r}": value for r, own in enumerate(every) for k, value in enumerate(own)}


def _metrics_of_this_rank(arrays):
    """Their values, where as many ranks go on as there were; else those of all ranks count as seen by the first."""
    every = [list(map(int, name.split()[1::3])) for name in arrays if name.startswith("metric ")]
    numbers, ranks = sorted({k for k, _ in every}), sorted({r for _, r in every})
    group = replicas()
    size, rank = (1, 0) if group is None else (group.size, group.rank)
    if size == len(ranks):
        return [arrays[f"metric {k} of rank {rank}"] for k in numbers]
    totals = [sum(arrays[f"metric {k} of rank {r}"] for r in ranks) for k in numbers]
    return totals if rank == 0 else [np.zeros_like(total) for total in totals]


def _variables(model):
    optimizer = model.optimizer.variables if model.optimizer is not None else []
    seen = {id(v) for v in model.metrics_variables}
    found = {id(v): v for v in [*model.variables, *optimizer] if id(v) not in seen}
    return list(found.values())


# ---- random numbers --------------------------------------------------------------------------------------------------------------


def _random_state():
    return {
        "numpy": list(np.random.get_state()),
        "python": random.getstate(),
        "global": global_seed_generator().state.numpy(),
    }


def _set_random_state(state):
    np.random.set_state(tuple(state["numpy"]))
    set_state_of(random, state["python"])
    global_seed_generator().state.assign(state["global"])


# ---- JSON ------------------------------------------------------------------------------------------------------------------------


def _packed(value, arrays):
    """With arrays moved into `arrays` and their names in their places."""
    if isinstance(value, dict):
        return {k: _packed(v, arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(v, arrays) for v in value]
    if isinstance(value, np.ndarray):
        name = f"array {len(arrays)}"
        arrays[name] = value
        return {"$array": name}
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(value, arrays):
    if isinstance(value, dict):
        return arrays[value["$array"]] if set(value) == {"$array"} else {k: _unpacked(v, arrays) for k, v in value.items()}
    return [_unpacked(v, arrays) for v in value] if isinstance(value, list) else value
