"""memory_report: the memory a step of a model takes, known from its plan before the step has run."""

from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.function import Traced
from mlkit.core.spec import Spec
from mlkit.core.typing import Data
from mlkit.data.arrays import take
from mlkit.data.batch import standardize_batch
from mlkit.layers.tracking import unique
from mlkit.models.loops import packed

__all__ = ["MemoryReport", "memory_report"]


class MemoryReport:
    """Bytes that a step needs, by kind; `print` shows them as a table. The interpreter and the libraries are not among them.

    weights: the model's variables. optimizer: the optimizer's, once there is a training step. other_state: metrics and the
    like.
    inputs: the batch. constants: arrays in the program. arena: activations and gradients, which share memory where one is dead
    before the other is born. results: at most, what lies outside the arena (returned arrays, workspaces of kernels).
    peak: all of these together. peak_at: the call in which most of `results` is in use.
    """

    def __init__(self, step, plan, weights, optimizer, other_state):
        self.step, self.weights, self.optimizer, self.other_state = step, weights, optimizer, other_state
        self.inputs = plan.input_bytes - plan.state_bytes
        self.constants, self.arena, self.results = plan.constant_bytes, plan.arena_bytes, plan.result_bytes
        self.peak = weights + optimizer + other_state + self.inputs + self.constants + self.arena + self.results
        call = plan.graph.calls[plan.peak_call] if plan.graph.calls else None
        self.peak_at = "" if call is None else f"{'/'.join(call.place) or 'the step'}: {call.op.name}"

    def _rows(self) -> list[tuple[str, int]]:
        return [
            ("weights", self.weights),
            ("optimizer", self.optimizer),
            ("other state", self.other_state),
            ("inputs", self.inputs),
            ("constants", self.constants),
            ("activations and gradients (arena)", self.arena),
            ("results and workspaces, at most", self.results),
            ("peak", self.peak),
        ]

    def __str__(self) -> str:
        lines = [f"{f'memory of a {self.step} step':36}{'MB':>10}"]
        lines += [f"{label:36}{size / 1e6:10.2f}" for label, size in self._rows() if size]
        return "\n".join([*lines, f"most results at {self.peak_at}"] if self.results else lines)

    __repr__ = __str__


def memory_report(
    model: Any,
    x: Data | None = None,
    y: Data | None = None,
    sample_weight: Data | None = None,
    batch_size: int | None = None,
    step: str | None = None,
) -> "MemoryReport":
    """The MemoryReport of a model's step; see `Model.memory_report`."""
    if (x is None) == (batch_size is None):
        raise ValueError("memory_report: pass either a batch `x` (and `y`), or `batch_size`.")
    step = step or ("train" if model.compiled and (y is not None or batch_size is not None) else "predict")
    if step not in ("train", "test", "predict"):
        raise ValueError(f"memory_report: `step` must be 'train', 'test' or 'predict', but got {step!r}.")
    if step != "predict":
        model._assert_compiled("memory_report")
    traced = model._training.program(model, step)
    if not isinstance(traced, Traced):
        raise ValueError(
            "memory_report: the model runs op by op (run_eagerly or jit_compile=False), without a plan of its memory."
        )
    if x is None:
        x, y = _blank_batch(model, batch_size, step)
    data = _standardized(model, (x, y, sample_weight), step)
    specs = tree.map_structure(lambda a: None if a is None else Spec(a.shape, dtypes.name_of(a.dtype)), data)
    program = traced.program(specs)
    weights = model.variables
    optimizer = model.optimizer.variables if step == "train" and model.optimizer is not None else []
    counted = {id(v) for v in [*weights, *optimizer]}
    others = [v for v in unique([*model.metrics_variables, *program.reads]) if id(v) not in counted]
    return MemoryReport(step, program.plan, *map(_bytes, (weights, optimizer, others)))


def _standardized(model, batch, step):
    """What `fit` gives to the step for this batch; everything that the first step builds is built."""
    batch = tree.map_structure(lambda a: None if a is None else take(a, slice(None)), standardize_batch(batch))
    batch = model._prepared_batch(batch)
    if step == "predict":
        batch = (batch[0], None, None)
    model._training.prepare(model, batch, step)
    return packed(batch)


def _blank_batch(model, batch_size, step):
    """Zeros in the shapes of a batch, without memory: inputs as the model knows them, targets as its losses expect them."""
    if model._graph is None:
        raise ValueError(f"memory_report: model {model.name!r} does not know its inputs. Pass a batch `x` (and `y`).")
    unknown = [t.name for t in model.inputs if None in t.shape[1:]]
    if unknown:
        raise ValueError(f"memory_report: the sizes of the inputs {unknown} are unknown. Pass a batch `x` (and `y`).")

    def blank(t):
        if t.dtype == dtypes.STRING:
            return np.full((batch_size, *t.shape[1:]), "")
        return _zeros((batch_size, *t.shape[1:]), t.dtype)

    x = tree.map_structure(blank, model._graph._inputs_struct)
    if step == "predict" or model.loss is None:
        return x, None
    sparse = [_is_sparse(one) for one in _losses(model)]
    targets = [
        None if s is None else _zeros((batch_size, *t.shape[1:-1]), "int64") if s else blank(t)
        for s, t in zip(sparse, model.outputs)
    ]
    return x, tree.pack_sequence_as(model._graph._outputs_struct, targets)


def _zeros(shape, dtype):
    return np.broadcast_to(np.zeros((), dtypes.as_numpy(dtype)), shape)


def _losses(model):
    """The loss of each output, as given to `compile`."""
    given, names = model.loss, model.output_names
    if isinstance(given, dict):
        return [given.get(name) for name in names]
    return list(given) if isinstance(given, (list, tuple)) else [given] * len(names)


def _is_sparse(loss):
    """Whether a loss takes class numbers; None without a loss."""
    if loss is None:
        return None
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return "sparse" in name.lower()


def _bytes(variables):
    return sum(v._value.data.nbytes for v in variables)
