"""Where a NaN came from: the steps whose loss is no number once more, op by op, from the weights before them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.core.dtypes import FLOATS
from mlkit.core.interpreter import Handing
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.models.loops import packed

Values = list[tuple[Any, Tensor]]


def values_of(model: Any) -> Values:
    """Each variable that a step changes with its value. Whoever holds values keeps programs from writing over them."""
    optimizer = model.optimizer.variables if model.optimizer is not None else []
    return [(v, v.value) for v in [*model.variables, *optimizer, *model.metrics_variables]]


def set_values(values: Values) -> None:
    """Give variables the values that `values_of` found."""
    for variable, value in values:
        variable.assign(value)


def explain(model: Any, values: Values, batches: list[Any]) -> str:
    """In words, where the first number that is not finite comes from when the batches run once more from these values. The variables
    have these values afterwards."""
    set_values(values)
    probe = _Probe(state.top)
    try:
        for batch in batches:
            for name, part in (("x", batch[0]), ("y", batch[1])):
                if (row := _bad_row(part)) is not None:
                    return f"The data are not finite: {name}, row {row} of the batch."
            with swapped(top=probe):
                model.train_step(packed(batch))
            if probe.found is not None:
                return probe.found
    except Exception as error:  # the step is only run to explain another fault
        return f"Where it came from is not known: op by op the step fails ({type(error).__name__}: {error})."
    finally:
        model._clear_losses()
        set_values(values)
    return "Run once more op by op, all numbers are finite: the compiled program rounds otherwise, or the data are random."


class _Probe(Handing):
    """Notes the first call that gives what is not finite for arguments that are. found: in words."""

    found: str | None = None

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        out = self.outer.apply(op, args, params)
        if self.found is None:
            for t in out if type(out) is tuple else (out,):
                if not _is_finite(t) and all(map(_is_finite, args)):
                    self.found = _told(op.name, args, np.asarray(t.data))
                    break
        return out


def _told(name, args, result):
    path = "/".join(state.call.path)
    where = f"in layer {path!r}" if path else "behind the layers: in the loss, in gradients or in the update"
    bad = np.argwhere(~np.isfinite(result.astype("float64") if result.dtype.kind != "c" else result))[0]
    sample = f", first at {tuple(map(int, bad))} of {result.shape}" if result.ndim else ""
    arrays = [np.asarray(a.data, "float64") for a in args if type(a) is Tensor and a.dtype in FLOATS and np.size(a.data)]
    ranges = " and ".join(f"[{a.min():.4g}, {a.max():.4g}]" for a in arrays)
    return f"It came from the op {name!r} {where}{sample}; its arguments lay in {ranges or 'nothing'}."


def _is_finite(x):
    if type(x) is not Tensor or x.dtype not in FLOATS:
        return True
    return bool(np.isfinite(np.asarray(x.data, "float64")).all())


def _bad_row(part):
    """The number of the first row that is not finite; None if there is none."""
    for a in tree.flatten(part):
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and not np.isfinite(a).all():
            return int(np.argwhere(~np.isfinite(a))[0][0])
    return None
