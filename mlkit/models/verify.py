"""verify: a model's outputs and gradients held against a second opinion, layer by layer."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.backend import using
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor
from mlkit.core.trace import Trace
from mlkit.core.typing import Data
from mlkit.objects.stateless import StatelessScope
from mlkit.ops import convert_to_tensor
from mlkit.ops.gradients import GradientTape

__all__ = ["VerifyReport", "verify"]


@dataclass
class Row:
    """One comparison: the output of a layer, or the gradient of a variable. error: largest difference / largest magnitude."""

    layer: str
    what: str
    shape: tuple
    error: float


@dataclass
class VerifyReport:
    """What `verify` found. `ok`: every error is within `tolerance`. Prints as a table by layer."""

    against: str
    tolerance: float
    rows: list = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(r.error <= self.tolerance for r in self.rows)

    @property
    def worst(self):
        """The row with the largest error."""
        return max(self.rows, key=lambda r: r.error)

    def __str__(self) -> str:
        width = max([len(r.layer) for r in self.rows] + [5])
        name = max([len(r.what) for r in self.rows] + [4])
        lines = [f"{'layer':{width}}  {'what':{name}}  {'shape':20}  largest relative error (against {self.against})"]
        for r in self.rows:
            mark = "" if r.error <= self.tolerance else "  MISMATCH"
            lines.append(f"{r.layer:{width}}  {r.what:{name}}  {r.shape!s:20}  {r.error:.2e}{mark}")
        verdict = "all equal" if self.ok else f"worst: {self.worst.layer} {self.worst.what}"
        return "\n".join([*lines, f"{verdict} within {self.tolerance:g}"])


_TOLERANCE = {"jax": 1e-3, "float64": 1e-3, "finite_diff": 2e-2}


def verify(
    model: Any, x: Data, y: Data | None, against: str = "jax", raise_on_mismatch: bool = False, tolerance: float | None = None
) -> "VerifyReport":
    """Compare every layer's output and every variable's gradient of the loss with a second computation.

    Args:
        x, y: a batch of data.
        against: "jax" (the forward computation evaluated and differentiated by JAX, which trusts neither our kernels nor our
            gradients), "float64" (the same graph in double precision), "finite_diff" (gradients only: central differences of
            the double-precision loss along one random direction a variable).
        tolerance: largest relative error allowed.
        model: a compiled model.
        raise_on_mismatch: whether a mismatch is an error.

    Layers run in inference mode, so that the computation has no randomness. The model is not changed. Returns a VerifyReport;
    raises AssertionError on a mismatch if `raise_on_mismatch`.
    """
    if against not in _TOLERANCE:
        raise ValueError(f"verify: `against` must be one of {list(_TOLERANCE)}, but got {against!r}.")
    model._assert_compiled("verify")
    batch = model._prepared_batch((_arrays(x), _arrays(y), None))
    model._training.prepare(model, batch)
    run = Recorded(model, *batch[:2])
    report = VerifyReport(against, _TOLERANCE[against] if tolerance is None else tolerance)
    outputs, grads = run.values_and_gradients()
    if against == "finite_diff":
        _compare_differences(run, grads, report)
    else:
        expected_outputs, expected = run.by_jax() if against == "jax" else run.in_double()
        for (name, _), a, b in zip(run.outputs, outputs, expected_outputs):
            report.rows.append(Row(name, "output", a.shape, _error(a, b)))
        # a gradient that is zero but for rounding (a bias before a softmax) is measured against the others
        least = 1e-4 * max((np.abs(b).max() for b in expected if b.size), default=0.0)
        for v, a, b in zip(run.variables, grads, expected):
            report.rows.append(Row(*_place(v), a.shape, _error(a, b, least)))
    if raise_on_mismatch and not report.ok:
        raise AssertionError(f"verify: the model differs from {against}.\n{report}")
    return report


class Recorded:
    """The forward pass and the loss of a model as a graph: inputs are the trainable variables; outputs the layers' outputs,
    then the loss."""

    def __init__(self, model, x, y):
        self.model, self.variables = model, model.trainable_weights
        self.x, self.y = x, y
        self.outputs = []  # (layer path, symbol) in the order of calls
        trace = Trace()
        with swapped(top=trace):
            symbols = [trace.input(v._value.spec) for v in self.variables]
            loss = self._forward(zip(self.variables, symbols), collect=True)
        self.graph = trace.graph
        self.others = list(trace.reads)  # non-trainable state
        self.graph.inputs += [t.data for t in trace.reads.values()]
        self.graph.outputs = [t.data for _, t in self.outputs] + [loss.data]
        self.values = [v._value for v in self.variables]

    def _forward(self, pairs, collect=False, dtype=None):
        """The loss with variables set to given values."""
        x, y = self.x, self.y
        if dtype:
            x, y = (tree.map_structure(lambda a: a.astype(dtype) if a.dtype.kind == "f" else a, s) for s in (x, y))
        hooks = _hooked(self.model, self.outputs) if collect else _nothing()
        with StatelessScope(pairs), hooks:
            y_pred = self.model(tree.map_structure(_tensor, x), training=False)
            loss = self.model.compute_loss(x=x, y=tree.map_structure(_tensor, y), y_pred=y_pred, training=False)
        self.model._clear_losses()
        return loss

    def values_and_gradients(self):
        """(layer outputs, gradients) as NumPy arrays, by our own engine."""
        leaves = [Tensor(v.data) for v in self.values]
        with GradientTape() as tape:
            tape.watch(leaves)
            *outputs, loss = self.graph.run(*leaves, *(v._value for v in self.others))
        grads = tape.gradient(loss, leaves, unconnected_gradients="zero")
        return [o.numpy() for o in outputs], [g.numpy() for g in grads]

    def by_jax(self):
        """(layer outputs, gradients) by JAX from the forward graph."""
        with using("jax") as backend:
            arrays = [t.numpy() for t in self.values] + [v._value.numpy() for v in self.others]
            seeds = [None] * len(self.outputs) + [np.ones((), self.graph.outputs[-1].dtype)]
            outputs, grads = backend.oracle(self.graph)(arrays, seeds)
        return outputs[:-1], grads[: len(self.values)]

    def in_double(self):
        """(layer outputs, gradients) of the same graph in float64."""
        run = _Double(self.graph)
        leaves = [run.wide(t) for t in self.values]
        with GradientTape() as tape:
            tape.watch(leaves)
            *outputs, loss = run(leaves + [run.wide(v._value) for v in self.others])
        grads = tape.gradient(loss, leaves, unconnected_gradients="zero")
        return [o.numpy() for o in outputs], [g.numpy() for g in grads]


class _Double:
    """Evaluates a graph with every float in double precision."""

    def __init__(self, graph):
        self.graph = graph

    @staticmethod
    def wide(t):
        return Tensor(t.numpy().astype("float64")) if dtypes.is_float(t.dtype) else t

    def __call__(self, values):
        return self.graph.walk(values, self._result, self._constant)

    @staticmethod
    def _result(call, args):
        return call.op(*args, **{k: "float64" if k == "dtype" and v in dtypes.FLOATS else v for k, v in call.params.items()})

    def _constant(self, a):
        return a if a is None or isinstance(a, (int, float, complex)) else self.wide(Tensor(a))


def _compare_differences(run, grads, report, step=1e-5):
    """Gradients along a random direction against central differences of the loss in double precision."""
    double, rng = _Double(run.graph), np.random.default_rng(0)
    values = [double.wide(t) for t in run.values]
    others = [double.wide(v._value) for v in run.others]
    least = 1e-4 * max((np.linalg.norm(g) for g in grads), default=0.0) + 1e-12
    for i, (v, g) in enumerate(zip(run.variables, grads)):
        direction = rng.normal(size=g.shape)
        direction /= np.linalg.norm(direction) or 1.0

        def loss(sign, i=i, direction=direction):
            moved = [Tensor(np.asarray(t.data + sign * step * direction)) if j == i else t for j, t in enumerate(values)]
            return float(double(moved + others)[-1])

        slope = (loss(1) - loss(-1)) / (2 * step)
        mine = float((g * direction).sum())
        scale = max(abs(slope), abs(mine), float(np.linalg.norm(g)) * 1e-2, least)
        report.rows.append(Row(*_place(v), g.shape, abs(slope - mine) / scale))


def _error(a, b, least=1e-6):
    """Largest difference over largest magnitude (not less than `least`)."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if not a.size:
        return 0.0
    return float(np.abs(a - b).max() / max(np.abs(b).max(), least, 1e-12))


def _place(variable):
    layer, _, name = variable.path.rpartition("/")
    return layer or variable.path, f"grad {name}"


def _arrays(structure):
    return tree.map_structure(lambda a: np.asarray(a.numpy() if type(a) is Tensor else a), structure)


def _tensor(a):
    return convert_to_tensor(a)


class _hooked:
    """A block in which the layers of a model note their outputs in a list, in the order of their calls."""

    def __init__(self, model, found):
        self.layers = list(model._flatten_layers(include_self=False))
        self.found = found

    def __enter__(self):
        for layer in self.layers:
            layer.__dict__["call"] = self._noting(layer, layer.call)

    def _noting(self, layer, call):
        def noted(*args, **kwargs):
            out = call(*args, **kwargs)
            self.found += [(layer.path, t) for t in tree.flatten(out) if type(t) is Tensor]
            return out

        return noted

    def __exit__(self, *_):
        for layer in self.layers:
            del layer.__dict__["call"]


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        """There is nothing to undo."""
