"""How time and memory grow with a network: depth, calls, variables, outputs, length of sequences, threads that predict at once.

    python benchmarks/growth.py [CASE ...] [--rounds 3] [--write]

A figure is the least of the rounds, in milliseconds of the processor, so that other work on the machine hides little; that of threads is
one of time that passes, the median or the 99th percentile of a call. The exponent is the slope of the logarithms over the largest three
sizes: 1 is growth in proportion. Each case runs in a process of its own, on one thread but for `threads`.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np
import processor
import report

RESULTS = pathlib.Path(__file__).with_suffix(".json")
BETWEEN = "<!-- growth: written by benchmarks/growth.py -->", "<!-- end of growth -->"
MOST = 1.1  # an exponent, where mathematics asks for no more
UPPER = 3  # sizes from which the exponent is taken
BATCH = 32
WHAT = f"""\
Milliseconds of the processor, or MB, for each size, and the exponent of the growth over the largest {UPPER} sizes; target: at most 0.1
above what mathematics asks for, in brackets. First: with all that is built, traced and planned. Depth: Dense(8) layers in a row. Calls:
of ops, in a function that is compiled. Variables: 32 numbers each, updated by Adam. Outputs: Dense(1) heads with a loss each. Sequence:
steps of LSTM(16) and RNN(GRUCell(16)), and positions of attention with 2 heads of 16, all for 8 sequences. Memory: of a training step, as
`memory_report` tells before it runs. Threads: time that passes for one of many calls of `predict_on_batch` that as many threads make at
once; they share the cores, so with twice as many a call lasts twice as long."""


def depth(number):
    import mlkit

    layers = [mlkit.layers.Dense(8, activation="relu") for _ in range(number)]
    x, y = np.ones((BATCH, 8), "float32"), np.ones((BATCH, 1), "float32")

    def make():
        model = mlkit.Sequential([mlkit.Input((8,)), *layers, mlkit.layers.Dense(1)])
        model.predict_on_batch(x)
        return model

    model, seconds = timed(make)
    return {"first predict": seconds, "predict": least(lambda: model.predict_on_batch(x)), **training(model, x, y)}


def training(model, x, y):
    """Figures of a model's training step."""
    model.compile("adam", "mse")
    _, seconds = timed(lambda: model.train_on_batch(x, y))
    memory = model.memory_report(batch_size=len(x)).peak / 2**20
    return {"first step": seconds, "step": least(lambda: model.train_on_batch(x, y)), "memory, MB": memory}


def calls(number):
    import mlkit

    def many(x, w):
        for _ in range(number // 2):
            x = mlkit.ops.tanh(mlkit.ops.matmul(x, w))
        return x

    run, args = mlkit.function(many), [mlkit.ops.ones((8, 8)) for _ in range(2)]
    _, seconds = timed(lambda: run(*args))
    return {"first call": seconds, "call": least(lambda: run(*args))}


def variables(number):
    import mlkit

    kept = [mlkit.Variable(np.ones(32, "float32")) for _ in range(number)]
    grads = [mlkit.ops.ones(32) for _ in kept]
    optimizer = mlkit.optimizers.Adam()
    _, seconds = timed(lambda: optimizer.apply(grads, kept))
    eager = least(lambda: optimizer.apply(grads, kept))
    update = mlkit.function(lambda grads: optimizer.apply(grads, kept))
    _, compiled = timed(lambda: update(grads))
    return {"first eager": seconds, "eager": eager, "first compiled": compiled, "compiled": least(lambda: update(grads))}


def outputs(number):
    import mlkit

    x, y = np.ones((BATCH, 8), "float32"), [np.ones((BATCH, 1), "float32") for _ in range(number)]
    inputs = mlkit.Input((8,))
    hidden = mlkit.layers.Dense(8, activation="relu")(inputs)
    model = mlkit.Model(inputs, [mlkit.layers.Dense(1)(hidden) for _ in range(number)])
    model.compile("adam", ["mse"] * number)
    _, first = timed(lambda: model.train_on_batch(x, y))
    _, predicted = timed(lambda: model.predict(x, verbose=0))
    return {
        "first step": first,
        "step": least(lambda: model.train_on_batch(x, y)),
        "first predict": predicted,
        "predict": least(lambda: model.predict(x, verbose=0)),
    }


def sequence(layer):
    """A case: training steps of a network of one layer over as many steps or positions."""

    def case(number):
        import mlkit

        inputs = mlkit.Input((number, 16))
        pooled = mlkit.layers.GlobalAveragePooling1D()(layer(mlkit.layers, inputs))
        model = mlkit.Model(inputs, mlkit.layers.Dense(1)(pooled))
        rng = np.random.default_rng(0)
        return training(model, rng.standard_normal((8, number, 16), "float32"), np.ones((8, 1), "float32"))

    return case


def threads(number):
    import mlkit

    layers = [mlkit.layers.Dense(64, activation="relu") for _ in range(2)]
    model = mlkit.Sequential([mlkit.Input((32,)), *layers, mlkit.layers.Dense(10)])
    x, took = np.ones((BATCH, 32), "float32"), []
    model.predict_on_batch(x)
    begin = threading.Barrier(number)

    def ask():
        begin.wait()
        for _ in range(100):
            start = time.perf_counter()
            model.predict_on_batch(x)
            took.append((time.perf_counter() - start) * 1e3)

    asking = [threading.Thread(target=ask) for _ in range(number)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return {"p50": float(np.percentile(took, 50)), "p99": float(np.percentile(took, 99))}


DEPTHS, STEPS = (100, 200, 400, 800, 1600, 3200), (50, 100, 200, 400, 800)
CASES = {  # name -> (sizes, figures of a size, exponent that mathematics asks for)
    "depth": (DEPTHS, depth, 1),
    "calls": ((250, 500, 1000, 2000, 4000), calls, 1),
    "variables": (DEPTHS, variables, 1),
    "outputs": ((10, 20, 40, 80, 160), outputs, 1),
    "sequence, LSTM": (STEPS, sequence(lambda layers, x: layers.LSTM(16, return_sequences=True)(x)), 1),
    "sequence, RNN": (STEPS, sequence(lambda layers, x: layers.RNN(layers.GRUCell(16), return_sequences=True)(x)), 1),
    "sequence, attention": ((128, 256, 512, 1024), sequence(lambda layers, x: layers.MultiHeadAttention(2, 16)(x, x)), 2),
    "threads": ((1, 2, 4, 8, 16, 32), threads, 1),
}


def timed(run):
    """(what it returns, milliseconds of the processor)."""
    start = time.process_time()
    result = run()
    return result, (time.process_time() - start) * 1e3


def least(run, seconds=0.2, calls=5):
    """Least milliseconds of the processor of a call."""
    run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < calls or time.perf_counter() < end:
        times.append(timed(run)[1])
    return min(times)


def measure(case, rounds):
    """{what: a figure for each size}, the least of the rounds."""
    sizes, figures, _ = CASES[case]
    figures(sizes[0])  # imports and what is made once
    found = [[figures(size) for size in sizes] for _ in range(rounds)]
    return {what: [min(f[i][what] for f in found) for i in range(len(sizes))] for what in found[0][0]}


def exponent(sizes, figures):
    """The slope of the logarithms over the largest sizes."""
    points = list(zip(sizes, figures))[-UPPER:]
    return float(np.polyfit(*([math.log(v) for v in values] for values in zip(*points)), 1)[0])


def rows(kept):
    """(case, what, sizes, figures, exponent, the one that mathematics asks for) each."""
    for case in (c for c in CASES if c in kept["cases"]):
        sizes, _, asked = CASES[case]
        for what, figures in kept["cases"][case]["figures"].items():
            yield case, what, sizes, figures, exponent(sizes, figures), asked


def met(slope, asked):
    return slope <= asked + MOST - 1


def table(kept):
    lines = [report.row("case", "what", "sizes", "figures", "exponent"), report.row(*["---"] * 5)]
    for case, what, sizes, figures, slope, asked in rows(kept):
        words = f"**{slope:.2f}**" if met(slope, asked) else f"{slope:.2f}"
        shown = " / ".join(f"{f:.3g}" for f in figures)
        lines.append(report.row(case, what, " / ".join(map(str, sizes)), shown, f"{words} ({asked})"))
    return "\n".join(lines)


def missed(kept):
    """What grows faster than it should."""
    return [f"{case}, {what}: {slope:.2f}" for case, what, _, _, slope, asked in rows(kept) if not met(slope, asked)]


def run(given):
    """Measure the cases one after the other."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    about = f"{processor.about()}; {given.rounds} rounds."
    for case in given.cases:
        one = {} if case == "threads" else {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, case, "--apart", "--rounds", str(given.rounds)]
        done = subprocess.run(command, env={**os.environ, **one}, check=True, stdout=subprocess.PIPE, text=True)
        kept["cases"][case] = dict(about=about, figures=json.loads(done.stdout.splitlines()[-1]))
    kept["about"] = report.runs(kept["cases"])
    return kept


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help="; ".join(CASES))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    options.add_argument("--apart", action="store_true", help="measure one in this process, and print JSON")
    given = options.parse_args()
    if given.apart:
        print(json.dumps(measure(given.cases[0], given.rounds)))
        return False
    return report.carry_out(given, RESULTS, run, table, missed, WHAT, BETWEEN)


if __name__ == "__main__":
    sys.exit(main())
