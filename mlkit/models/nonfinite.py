"""Where a NaN came from: the steps whose loss is no number once more, op by op, from the weights before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.core.communicator import replicas
from mlkit.core.dtypes import FLOATS
from mlkit.core.interpreter import Handing
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.models.checks.case import count
from mlkit.models.journal import STEPS, Journal
from mlkit.models.loops import packed


def variables_of(model: Any) -> list[Any]:
    """Each variable that a step changes."""
    optimizer = model.optimizer.variables if model.optimizer is not None else []
    return list(dict.fromkeys([*model.variables, *optimizer, *model.metrics_variables]))


def begin_step(model: Any, run: Any) -> None:
    """Note what leads back to the values before the group of batches that a run begins. All variables are made first, which a step would
    make on its way."""
    if run.journal is None:
        if model.optimizer is not None and not model.optimizer.built and not model._is_overridden("train_step"):
            model._training.prepare(model, run.group[0])
        repeats = not (model.run_eagerly or model.jit_compile is False or replicas() is not None)
        run.journal = Journal(variables_of(model), STEPS if repeats else 1)
    run.journal.begin_step(run.group)


def rewound_and_explained(model: Any, run: Any) -> str:
    """`explain` of the group of batches that was noted last."""
    run.journal.rewind(lambda batch: model._training.own_program(model, "train")(packed(batch)))
    return explain(model, run.group)


def explain(model: Any, batches: list[Any]) -> str:
    """In words, where the first number that is not finite comes from when the batches run once more from the values that the variables
    have, and have afterwards. Processes that train together all call this, and get the same words: of each in which one came up."""
    values = [(v, v.value) for v in variables_of(model)]
    probe, group = _Probe(state.top), replicas()
    step = model._training.on_all_ranks(model, "train", model.train_step)
    try:
        for k, batch in enumerate(batches):
            model._training.nonfinite = batches[: k + 1]
            if found := _of_all_ranks(group, _bad_data(batch)):
                return found
            own = packed(batch)
            probe.samples, probe.first = (count(batch[0]), 0) if group is None else (group.samples, group.first)
            with swapped(top=probe):
                step(own)
            if found := _of_all_ranks(group, probe.found):
                return found
    except Exception as error:  # the step is only run to explain another fault
        return f"Where it came from is not known: op by op the step fails ({type(error).__name__}: {error})."
    finally:
        model._clear_losses()
        for variable, value in values:
            variable.assign(value)
    return "Run once more op by op, all numbers are finite: the compiled program rounds otherwise, or the data are random."


def _bad_data(batch):
    """In words, which row of a batch is not finite; None if none is."""
    for name, part in (("x", batch[0]), ("y", batch[1])):
        for array in tree.flatten(part):
            if (row := bad_row(array)) is not None:
                return f"The data are not finite: {name}, row {row} of the batch."
    return None


def _of_all_ranks(group, found):
    """What this process has found, or what each of those has that train together; None if that is nothing."""
    if group is None:
        return found
    every = group.communicator.all_gather_values(found, "where a number that is not finite came from")
    if found is not None and every.count(found) == len(every):
        return f"On all ranks: {found}"
    return " ".join(f"On rank {rank}: {text}" for rank, text in enumerate(every) if text is not None) or None


class _Probe(Handing):
    """Notes the first call that gives what is not finite for arguments that are, of those that compute in this process. samples: of the
    batch, or of this process's part; first: the number in the batch of the first of them; found: in words."""

    samples = first = 0
    found: str | None = None

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        out = self.outer.apply(op, args, params)
        if self.found is None and not op.traits.communicates:
            bad = first_nonfinite(args, out if type(out) is tuple else (out,))
            if bad is not None:
                self.found = origin(op.name, state.call.path, args, bad, self.samples, self.first)
        return out


def first_nonfinite(args: Sequence[Any], outs: Sequence[Any]) -> Tensor | None:
    """The first result of a call that is not finite, where all arguments are."""
    return next((t for t in outs if not is_finite(t) and all(map(is_finite, args))), None)


def origin(op: str, place: Sequence[str], args: Sequence[Any], result: Tensor, samples: int = 0, first: int = 0) -> str:
    """In words, where a result that is not finite comes from.

    op: its name. place: path of the layer. args: of the call. samples: how many the batch has; a first axis of that length is taken for
    that of the samples, which have the numbers from `first` on.
    """
    path, a = "/".join(place), np.asarray(result.data)
    where = f"in layer {path!r}" if path else "behind the layers: in the loss, in gradients or in the update"
    bad = np.argwhere(~np.isfinite(a.astype("float64") if a.dtype.kind != "c" else a))[0]
    where_in = f", first at {tuple(map(int, bad))} of {a.shape}" if a.ndim else ""
    sample = f", which is sample {first + bad[0]} of the batch" if a.ndim and samples > 1 and a.shape[0] == samples else ""
    arrays = [np.asarray(a.data, "float64") for a in args if type(a) is Tensor and a.dtype in FLOATS and np.size(a.data)]
    ranges = " and ".join(f"[{a.min():.4g}, {a.max():.4g}]" for a in arrays)
    return f"It came from the op {op!r} {where}{where_in}{sample}; its arguments lay in {ranges or 'nothing'}."


def is_finite(x: Any) -> bool:
    """Whether an argument of a call, or its result, has no NaN and no infinity."""
    if isinstance(x, (float, complex)):
        return bool(np.isfinite(x))
    if type(x) is not Tensor or x.dtype not in FLOATS:
        return True
    return bool(np.isfinite(np.asarray(x.data, "float64")).all())


def bad_row(array: Any) -> int | None:
    """The number of the first row of an array that is not finite; None if there is none."""
    if isinstance(array, np.ndarray) and array.dtype.kind == "f" and not np.isfinite(array).all():
        return int(np.argwhere(~np.isfinite(np.atleast_1d(array)))[0][0])
    return None
