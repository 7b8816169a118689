"""Whether all ranks are about to train the same model in the same way; said before the first step, where it would be a riddle later."""

import hashlib
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.communicator import Communicator
from mlkit.core.state import state


def require_equal_models(communicator: Communicator, model: Any) -> None:
    """Raise RuntimeError, on all ranks, unless versions, settings and the variables of a model are the same everywhere."""
    facts = {
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "the backend": state.backend.name,
        "floatx": dtypes.floatx(),
        "the model's class": type(model).__name__,
        "the optimizer's class": type(model.optimizer).__name__,
        "the number of variables": len(model.variables),
        **{f"variable {k}": f"{v.name} {v.dtype}{list(v.shape)}" for k, v in enumerate(model.variables)},
    }
    require_equal(communicator, facts, "train the same model", "in the same environment")


def require_equal(communicator: Communicator, facts: dict[str, Any], what: str, where: str) -> None:
    """Raise RuntimeError, on all ranks, unless these facts, by name, are the same everywhere. what: that they would not do otherwise;
    where: how all are to run the same script."""
    every = communicator.all_gather_values(facts, f"whether all ranks {what}")
    for name in every[0]:
        found = [other.get(name) for other in every]
        if any(value != found[0] for value in found):
            odd = next(r for r, value in enumerate(found) if value != found[0])
            raise RuntimeError(
                f"The ranks do not {what}: {name} is {found[0]} on rank 0 and {found[odd]} on rank {odd}. All must run "
                f"the same script, without parts that depend on the rank, {where}."
            )


def broadcast_variables(communicator: Communicator, variables: Sequence[Any]) -> None:
    """Give variables the values they have on rank 0."""
    for variable in variables:
        value = np.array(variable.numpy(), order="C")
        communicator.broadcast(value, label=variable.path)
        if communicator.rank:
            variable.assign(value)


def require_equal_calls(communicator: Communicator, graph: Any) -> None:
    """Raise RuntimeError, on all ranks, unless the graphs of all have the same calls; the first that differs is named."""
    calls = [f"{call.op.name} -> {', '.join(f'{v.dtype}[{len(v.shape)} axes]' for v in call.outs)}" for call in graph.calls]
    digests = communicator.all_gather_values(hash_of(calls), "the graph's hash")
    if len(set(digests)) == 1:
        return
    every = communicator.all_gather_values(calls, "the graph's calls")
    odd = next(r for r, digest in enumerate(digests) if digest != digests[0])
    first = next((k for k, (a, b) in enumerate(zip(every[0], every[odd])) if a != b), min(len(every[0]), len(every[odd])))
    here, there = (own[first] if first < len(own) else "nothing more" for own in (every[0], every[odd]))
    raise RuntimeError(
        f"The ranks would not compute the same: call {first} of the step is `{here}` on rank 0 and `{there}` on rank {odd}. Layers, "
        "losses and train_step must not depend on the rank; what is to happen on one rank only belongs into a callback."
    )


def hash_of(lines: Sequence[str]) -> int:
    """A number for lines of text, the same in each process."""
    return int.from_bytes(hashlib.sha256("\n".join(lines).encode()).digest()[:8], "little")
