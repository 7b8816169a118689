"""profile: where a compiled step of a model spends its time, by layer and by kernel, against what the machine can do."""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from mlkit.compiler.cost import call_bytes, call_flops
from mlkit.compiler.roofline import Peaks, machine_peaks
from mlkit.compiler.timing import collecting
from mlkit.core import tree
from mlkit.core.autograd import GRADIENT
from mlkit.core.graph import spec_of
from mlkit.core.program import Program
from mlkit.core.state import state, swapped
from mlkit.core.typing import Data
from mlkit.data.batch import standardize_batch
from mlkit.models.loops import packed
from mlkit.models.profile_text import html, markdown, text

__all__ = ["ProfileReport", "profile"]

MOST_SHAPES = 6  # of the arguments of a call, that are shown


@dataclass
class Row:
    """Several calls (or one) that share a name: a layer, or a kernel.

    seconds: of one step; backward: of these, what the gradient's calls took; flops, bytes: at least needed, from the shapes.
    """

    name: str
    calls: int
    seconds: float
    backward: float
    flops: int
    bytes: int

    def limit(self, peaks: Peaks) -> Any:
        """The seconds that its operations or its bytes need at the machine's peaks, whichever are more (the "roofline" of
        Williams et al., CACM 2009)."""
        return max(self.flops / peaks.flops, self.bytes / peaks.bandwidth)


@dataclass
class ProfileReport:
    """What `profile` found; prints as a table by layer and one by kernel.

    rows: one for each call of the step, in the order in which they run; seconds: the whole step, with what is spent between
    kernels; peaks: the machine's (operations a second, bytes a second), measured.
    """

    what: str
    rows: list  # (layer, kernel, Row)
    seconds: float
    peaks: Peaks

    @property
    def by_layer(self) -> list[Row]:
        """A Row for each layer, the slowest first; "loss", "metrics" and "optimizer" stand for what belongs to no layer."""
        return _grouped((layer, row) for layer, _, row in self.rows)

    @property
    def by_kernel(self) -> list[Row]:
        """A Row for each kernel, the slowest first."""
        return _grouped((kernel, row) for _, kernel, row in self.rows)

    @property
    def by_call(self) -> list[Row]:
        """A Row for each call, the slowest first."""
        return sorted((row for _, _, row in self.rows), key=lambda row: -row.seconds)

    @property
    def kernel_seconds(self) -> float:
        """Seconds spent in kernels; the rest of `seconds` is the cost of calling them."""
        return sum(row.seconds for _, _, row in self.rows)

    def markdown(self) -> str:
        """The tables in Markdown."""
        return markdown(self)

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return html(self)


def profile(
    model: Any,
    x: Data,
    y: Data | None = None,
    sample_weight: Data | None = None,
    training: bool | None = None,
    runs: int = 10,
    cpu_time: bool = False,
) -> "ProfileReport":
    """Time every kernel of a compiled step.

    Args:
        model: a compiled model (for training), or any model (for inference).
        x, y, sample_weight: one batch of data.
        training: True for training steps, False for inference. By default training where `y` is given.
        runs: steps to time; of each kernel the fastest counts, which other programs have disturbed least.
        cpu_time: count the processor time of all threads instead of the time that passes: for one thread (OMP_NUM_THREADS=1) on a
            machine that others use too.

    Returns:
        A `ProfileReport`: `print` it, or look at `by_layer`, `by_kernel` and `by_call`.

    The model, its optimizer and its metrics are afterwards what they were before. The backend must be the native one.

    >>> import mlkit, numpy as np
    >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3, name="hidden")], name="net")
    >>> report = mlkit.profile(model, np.ones((8, 4), "float32"))
    >>> [row.name for row in report.by_layer], report.by_layer[0].flops
    (['net/hidden'], 216)
    """
    training = y is not None if training is None else training
    if training:
        model._assert_compiled("profile")
    batch = model._prepared_batch(standardize_batch((x, y, sample_weight) if training else (x,)))
    model._training.prepare(model, batch, "train" if training else "predict")
    step = model.train_step if training else model.predict_step
    data = packed(batch)
    clock = time.process_time if cpu_time else time.perf_counter
    with _parts_named(model), collecting(clock) as found:
        program = Program(lambda data: step(data), (data,), {})
    model._clear_losses()
    times = next((t for t in found if not t.inner), None)
    if times is None:
        raise NotImplementedError(
            f"profile: the {state.backend.name} backend does not time its kernels (nor does any with MLKIT_CHECK=1)."
        )
    arrays = [state.backend.asarray(a, a.dtype.name) for a in tree.flatten(data) if a is not None]
    samples, between = _run(program, times, arrays, runs)
    rows = [_row(call, s, program.run.plan.is_view(call)) for call, s in zip(times.graph.calls, samples)]
    what = f"{'training' if training else 'inference'} step of {model.name}"
    return ProfileReport(what, [r for r in rows if r[2].seconds], sum(samples) + between, machine_peaks(clock))


def _run(program, times, arrays, runs):
    """(least seconds of each call, least seconds between them in a run); the variables keep their values."""
    kept = [(v, v.numpy().copy()) for v in program.writes]
    taken, between = [], []
    try:
        program(list(arrays))  # binds memory, fills caches
        times.take()
        for _ in range(runs):
            start = times.clock()
            program(list(arrays))
            whole = times.clock() - start
            taken.append(times.take())
            between.append(whole - sum(taken[-1]))
    finally:
        for v, value in kept:
            v.assign(value)
    return list(map(min, zip(*taken))), min(between)


def _row(call, seconds, is_view):
    """(layer, kernel, Row) of a call; a view of memory moves nothing."""
    layer, _, _ = "/".join(call.place).partition(f"/{GRADIENT}")
    layer = layer if layer != GRADIENT else ""
    specs = [str(spec_of(a)) for a in call.args if hasattr(a, "shape")]
    shapes = ", ".join(specs if len(specs) <= MOST_SHAPES else [*specs[:MOST_SHAPES], "..."])
    backward = seconds if GRADIENT in call.place else 0.0
    moved = 0 if is_view else call_bytes(call)
    return layer or "(no layer)", call.op.name, Row(f"{call.op.name}({shapes})", 1, seconds, backward, call_flops(call), moved)


def _grouped(pairs):
    """A Row for each name; the slowest first."""
    groups = {}
    for name, row in pairs:
        groups.setdefault(name, []).append(row)
    rows = [
        Row(name, len(g), *(sum(getattr(r, field) for r in g) for field in ("seconds", "backward", "flops", "bytes")))
        for name, g in groups.items()
    ]
    return sorted(rows, key=lambda row: -row.seconds)


@contextlib.contextmanager
def _parts_named(model):
    """A block in which what `train_step` does outside layers is staged under names: loss, metrics, optimizer."""
    parts = [(model, "compute_loss", "loss"), (model._training, "track", "metrics"), (model, "compute_metrics", "metrics")]
    if model.optimizer is not None:
        parts.append((model.optimizer, "apply", "optimizer"))
    for owner, method, name in parts:
        owner.__dict__[method] = _named(getattr(owner, method), name)
    try:
        yield
    finally:
        for owner, method, _ in parts:
            del owner.__dict__[method]


def _named(method, name):
    def run(*args, **kwargs):
        with swapped(call=state.call.at((name,))):
            return method(*args, **kwargs)

    run.__wrapped__ = method  # `inspect.signature` sees the arguments of a user's override
    return run
