"""Small networks, on an idle machine and beside other work: wall and processor time of a training step, mlkit against Keras on JAX.

    python benchmarks/busy.py [NET ...] [--load 5] [--seconds 1] [--rounds 5] [--avx2] [--write]

The load is made by processes of this script's own, which end with it. Needs keras and jax (the extra `test` has both). Both libraries
run in processes of their own, which are made one after the other and then take turns; figures are medians of the rounds.
"""

import argparse
import contextlib
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from importlib import metadata

import numpy as np
import processor
import report


def dense(keras, number):
    """As many residual layers of 32 units."""
    x = inputs = keras.Input((32,))
    for _ in range(number):
        x = keras.layers.Add()([x, keras.layers.Dense(32, activation="relu")(x)])
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def conv1d(keras, number):
    layers = [keras.layers.Conv1D(16, 3, padding="same", activation="relu") for _ in range(number)]
    return keras.Sequential([keras.Input((32, 16)), *layers, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)])


def lstm(keras, number):
    layers = [keras.layers.LSTM(16, return_sequences=True) for _ in range(number)]
    return keras.Sequential([keras.Input((10, 16)), *layers, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)])


def attention(keras, number):
    x = inputs = keras.Input((16, 32))
    for _ in range(number):
        x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 16)(x, x)])
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x)))


def mlp(keras, _):
    layers = [keras.layers.Dense(512, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(1)])


NETS = {
    "10 dense": (dense, 10),
    "100 dense": (dense, 100),
    "20 conv1d": (conv1d, 20),
    "5 lstm": (lstm, 5),
    "10 attention": (attention, 10),
    "mlp": (mlp, 2),
}
LIBRARIES = "mlkit", "keras"
BETWEEN = "<!-- small networks: written by benchmarks/busy.py -->", "<!-- end of small networks -->"
RESULTS = pathlib.Path(__file__).with_name("busy.json")
TARGETS = {"wall_ms": 0.7, "cpu_ms": 0.7, "first_s": 0.7}  # mlkit / Keras, without a load
SLOWED = 1.5  # how much more than Keras mlkit may be slowed by the load
WHAT = """\
So many layers of 16 or 32 units, 32 samples, Adam (`NETS` in the script), and for comparison a perceptron of 784-512-512-1. mlkit / Keras
on JAX, in turns; targets ≤ 0.7. Slowed, mlkit / Keras: how many times longer a step takes beside five more processes that compute;
target: at most 1.5 times Keras's."""


def measure(library, net):
    """Print {first_s}, and for each line of the input, a number of seconds, {wall_ms, cpu_ms} of steps in that time."""
    keras = importlib.import_module(library)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    start, cpu = time.perf_counter(), time.process_time()
    make, number = NETS[net]
    model = make(keras, number)
    model.compile("adam", "mse")
    x, y = rng.standard_normal((32, *model.input_shape[1:]), dtype="float32"), rng.standard_normal((32, 1), dtype="float32")
    model.train_on_batch(x, y)
    print(json.dumps(dict(first_s=time.perf_counter() - start, first_cpu_s=time.process_time() - cpu)), flush=True)
    model.train_on_batch(x, y)
    for line in sys.stdin:
        cpu, walls, end = time.process_time(), [], time.perf_counter() + float(line)
        while not walls or time.perf_counter() < end:
            start = time.perf_counter()
            model.train_on_batch(x, y)
            walls.append(time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / len(walls)
        print(json.dumps(dict(wall_ms=statistics.median(walls) * 1e3, cpu_ms=cpu * 1e3)), flush=True)


class Running:
    """A library that trains a network in a process of its own, when it has its turn. first: what its first step took."""

    def __init__(self, library, net, settings):
        command = [sys.executable, __file__, net, "--library", library]
        environment = environment_of(settings)
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = json.loads(self.process.stdout.readline())

    def turn(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.communicate()


def environment_of(settings):
    return {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", **settings}


def measured_apart(library, case, seconds, script, **settings):
    """What a script prints of a library in a process of its own. settings: of its environment."""
    command = [sys.executable, script, case, "--library", library, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment_of(settings), check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def load(number):
    """A block beside which so many processes compute, for as long as this one lives."""
    busy = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    running = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def medians(found):
    return {key: statistics.median(f[key] for f in found) for key in found[0]}


def turns(running, given):
    """Medians of the rounds, for each of those that run."""
    found = [[r.turn(given.seconds) for r in running] for _ in range(given.rounds)]
    return [medians([f[i] for f in found]) for i in range(len(running))]


def measured(net, given):
    """{"idle", "loaded": figures of mlkit and of Keras}."""
    running = [Running(library, net, processor.SETTINGS[given.kind]) for library in LIBRARIES]
    idle = [{**r.first, **figures} for r, figures in zip(running, turns(running, given))]
    with load(given.load):
        loaded = turns(running, given)
    for r in running:
        r.end()
    return dict(idle=idle, loaded=loaded)


def compared(ours, theirs, targets=(), keys=("wall_ms", "cpu_ms", "first_s")):
    """Cells of a row: our figure, theirs and the ratio, of the time, the processor's and the first call's; bold where a target is met."""
    cells = []
    for k in keys:
        ratio = f"{ours[k] / theirs[k]:.2f}"
        met = k in targets and ours[k] <= targets[k] * theirs[k]
        cells.append(f"{ours[k]:.3g} / {theirs[k]:.3g} = {f'**{ratio}**' if met else ratio}")
    return cells


def slowed(figures):
    """How many times longer a step takes beside the load: (mlkit, Keras)."""
    return [a["wall_ms"] / b["wall_ms"] for a, b in zip(figures["loaded"], figures["idle"])]


def table(kept):
    """The rows of one kind of processor."""
    heads = "network", "step, ms: mlkit / Keras", "processor, ms", "first step, s", "step beside the load, ms", "slowed"
    lines = [report.row(*heads), report.row(*["---"] * len(heads))]
    for net in (n for n in NETS if n in kept["nets"]):
        figures = kept["nets"][net]
        ours, theirs = slowed(figures)
        ratio = f"**{ours / theirs:.2f}**" if ours <= SLOWED * theirs else f"{ours / theirs:.2f}"
        cells = compared(*figures["idle"], TARGETS)
        beside = compared(*figures["loaded"], keys=("wall_ms",))
        lines.append(report.row(net, *cells, *beside, f"{ours:.1f} / {theirs:.1f} = {ratio}"))
    return f"{report.runs(kept['nets'])}\n\n" + "\n".join(lines)


def about(given):
    """When, where and how it was measured, with what."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "jax"))
    return f"{processor.about(given.kind)}; {given.rounds} rounds of {given.seconds:g} s; {versions}."


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("nets", nargs="*", default=list(NETS), metavar="NET", help=", ".join(NETS))
    options.add_argument("--load", type=int, default=5, help="processes that compute beside")
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--rounds", type=int, default=5)
    processor.add_option(options)
    options.add_argument("--write", action="store_true", help="keep the figures, and write them into docs/performance.md")
    options.add_argument("--library", choices=LIBRARIES, help="measure one in this process, turn by turn")
    given = options.parse_args()
    if given.library:
        measure(given.library, given.nets[0])
        return
    kept, began = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}, about(given)
    nets = kept.setdefault(given.kind, {"nets": {}})["nets"]
    for net in given.nets:
        nets[net] = dict(about=began, **measured(net, given))
        print(table({"nets": {net: nets[net]}}).splitlines()[-1], flush=True)
    if given.write:
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        report.replace_between(*BETWEEN, "\n\n".join([WHAT, *map(table, kept.values())]))


if __name__ == "__main__":
    main()
