"""Loops of small steps, and recurrent layers over cells: wall and processor time of a call, mlkit against Keras on JAX.

    python benchmarks/loops.py [CASE ...] [--seconds 2] [--rounds 3] [--write]

Needs keras and jax (the extra `test` has both), and llvmlite (the extra `jit`) for native code, which is waited for before calls are
timed. Figures are medians of rounds in which all take turns, each in a process of its own.
"""

import argparse
import functools
import importlib
import json
import pathlib
import statistics
import sys
import time
from importlib import metadata

import numpy as np
import processor
import report
from busy import LIBRARIES, compared, measured_apart, medians

RNG = np.random.default_rng(0)
STEPS = 200
RESULTS = pathlib.Path(__file__).with_suffix(".json")
BETWEEN = "<!-- loops: written by benchmarks/loops.py -->", "<!-- end of loops -->"
TARGETS = {"wall_ms": 3.0, "first_s": 1.0}  # mlkit / Keras, with native code
WHAT = """\
A call, mlkit / Keras on JAX, with native code through LLVM (`pip install "mlkit-engine[jit]"`), which is waited for, and in the last column
without. `while_loop`: 10,000 turns; `scan`: 5,000 steps of three ops of 16 numbers; the others are training steps of 32 sequences of 200
steps, and of 4 videos of 20 pictures. Targets: ≤ 3 for a call, ≤ 1 for the first."""


def compiled(keras, fn):
    """The function, compiled, and called until its result is there."""
    if keras.__name__ == "mlkit":
        return keras.function(fn)
    jax = importlib.import_module("jax")
    run = jax.jit(fn)
    return lambda *args: jax.block_until_ready(run(*args))


def arrays(keras, *given):
    return [keras.ops.convert_to_tensor(a) for a in given]


def while_loop(keras):
    """10,000 turns: a comparison, a counter, a product and a sum of 16 numbers."""
    ops = keras.ops
    (x,) = arrays(keras, RNG.standard_normal(16, dtype="float32"))
    turns = lambda i, x: i < 10_000
    run = compiled(keras, lambda x: ops.while_loop(turns, lambda i, x: (i + 1, x * 0.999 + 0.5), (ops.zeros((), "int32"), x)))
    return lambda: run(x)


def scanned(keras, c, xs):
    return keras.ops.scan(lambda c, x: (keras.ops.tanh(c * 0.9 + x), c), c, xs)


def scan(keras):
    """5,000 steps of three ops of 16 numbers."""
    args = arrays(keras, RNG.standard_normal(16, dtype="float32"), RNG.standard_normal((5000, 16), dtype="float32"))
    run = compiled(keras, functools.partial(scanned, keras))
    return lambda: run(*args)


def gradient_of_scan(keras):
    """That of the squares of all results, for the start and all steps' inputs."""
    args = arrays(keras, RNG.standard_normal(16, dtype="float32"), RNG.standard_normal((5000, 16), dtype="float32"))

    def loss(c, xs):
        return keras.ops.sum(scanned(keras, c, xs)[1] ** 2)

    grad = keras.grad if keras.__name__ == "mlkit" else importlib.import_module("jax").grad
    run = compiled(keras, grad(loss, argnums=(0, 1)))
    return lambda: run(*args)


def step_of(layer):
    """A training step of a network of one layer over 32 sequences of 200 steps."""

    def make(keras):
        model = keras.Sequential([keras.Input((STEPS, 16)), layer(keras.layers), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        x, y = RNG.standard_normal((32, STEPS, 16), dtype="float32"), RNG.standard_normal((32, 1), dtype="float32")
        return lambda: model.train_on_batch(x, y)

    return make


def conv_lstm(keras):
    """A training step over 4 videos of 20 pictures of 16 x 16."""
    layers = keras.layers
    video = layers.ConvLSTM2D(8, 3, padding="same")
    model = keras.Sequential([keras.Input((20, 16, 16, 3)), video, layers.GlobalAveragePooling2D(), layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = RNG.standard_normal((4, 20, 16, 16, 3), dtype="float32"), RNG.standard_normal((4, 1), dtype="float32")
    return lambda: model.train_on_batch(x, y)


CASES = {
    "while_loop": while_loop,
    "scan": scan,
    "gradient of scan": gradient_of_scan,
    "RNN(GRUCell)": step_of(lambda layers: layers.RNN(layers.GRUCell(32))),
    "RNN of two LSTMCells": step_of(lambda layers: layers.RNN([layers.LSTMCell(32), layers.LSTMCell(32)])),
    "LSTM, recurrent_dropout": step_of(lambda layers: layers.LSTM(32, recurrent_dropout=0.2)),
    "ConvLSTM2D": conv_lstm,
}


def measure(library, case, seconds):
    """{first_s, wall_ms, cpu_ms} of this process."""
    keras = importlib.import_module(library)
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    run = CASES[case](keras)
    run()
    first = time.perf_counter() - start
    if library == "mlkit":
        importlib.import_module("mlkit.backends.native.jit.compiler").wait()
    run()
    cpu, walls, end = time.process_time(), [], time.perf_counter() + seconds
    while not walls or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        walls.append(time.perf_counter() - start)
    return dict(first_s=first, wall_ms=statistics.median(walls) * 1e3, cpu_ms=(time.process_time() - cpu) / len(walls) * 1e3)


def rows(kept):
    """Cells of each case that is kept."""
    for case in (c for c in CASES if c in kept["cases"]):
        figures = kept["cases"][case]
        yield case, *compared(*(figures[lib] for lib in LIBRARIES), TARGETS), f"{figures['in Python']['wall_ms']:.3g}"


def table(kept):
    heads = "loop", "a call, ms: mlkit / Keras", "processor, ms", "first call, s", "a call without native code, ms"
    return "\n".join(report.row(*cells) for cells in (heads, ["---"] * len(heads), *rows(kept)))


def missed(kept):
    """Cases whose calls take longer than they should."""
    found = {case: figures["mlkit"]["wall_ms"] / figures["keras"]["wall_ms"] for case, figures in kept["cases"].items()}
    return [f"{case}: {ratio:.2f} of Keras's call" for case, ratio in found.items() if ratio > TARGETS["wall_ms"]]


def run(given):
    """Measure the cases one after the other; the others keep their figures."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "jax", "llvmlite"))
    about = f"{processor.about()}; {given.rounds} rounds of {given.seconds:g} s; {versions}."
    columns = {**{lib: (lib, {}) for lib in LIBRARIES}, "in Python": ("mlkit", {"MLKIT_JIT": "off"})}
    for case in given.cases:
        found = {name: [] for name in columns}
        for _ in range(given.rounds):
            for name, (library, settings) in columns.items():
                found[name].append(measured_apart(library, case, given.seconds, __file__, **settings))
        kept["cases"][case] = dict(about=about, **{name: medians(each) for name, each in found.items()})
        print(table({"cases": {case: kept["cases"][case]}}).splitlines()[-1], flush=True)
    kept["about"] = report.runs(kept["cases"])
    return kept


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help=", ".join(CASES))
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    options.add_argument("--library", choices=LIBRARIES, help="measure one in this process, and print JSON")
    given = options.parse_args()
    if given.library:
        print(json.dumps(measure(given.library, given.cases[0], given.seconds)))
        return False
    return report.carry_out(given, RESULTS, run, table, missed, WHAT, BETWEEN)


if __name__ == "__main__":
    sys.exit(main())
