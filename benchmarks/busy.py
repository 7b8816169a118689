"""Small networks, on an idle machine and beside other work: wall and processor time of a training step, mlkit against Keras on JAX.

    python benchmarks/busy.py [NET ...] [--load 5] [--seconds 2] [--rounds 3]

The load is made by processes of this script's own, which end with it. Needs keras and jax (the extra `test` has both). Figures are
medians of rounds in which the two libraries take turns.
"""

import argparse
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np


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


def measure(library, net, seconds):
    """{first_s, wall_ms, cpu_ms} of this process."""
    keras = importlib.import_module(library)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    make, number = NETS[net]
    model = make(keras, number)
    model.compile("adam", "mse")
    x, y = rng.standard_normal((32, *model.input_shape[1:]), dtype="float32"), rng.standard_normal((32, 1), dtype="float32")
    model.train_on_batch(x, y)
    first = time.perf_counter() - start
    model.train_on_batch(x, y)
    cpu, walls, end = time.process_time(), [], time.perf_counter() + seconds
    while not walls or time.perf_counter() < end:
        start = time.perf_counter()
        model.train_on_batch(x, y)
        walls.append(time.perf_counter() - start)
    return dict(first_s=first, wall_ms=statistics.median(walls) * 1e3, cpu_ms=(time.process_time() - cpu) / len(walls) * 1e3)


def measured_apart(library, net, seconds, script=__file__, **settings):
    """`measure` of a script in a process of its own. settings: of its environment."""
    command = [sys.executable, script, net, "--library", library, "--seconds", str(seconds)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", **settings}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def load(number):
    """A block beside which so many processes compute."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def medians(found):
    return {key: statistics.median(f[key] for f in found) for key in found[0]}


def rows(net, given):
    """Lines of the table: one idle, one beside the load."""
    idle = {}
    for number in (0, given.load):
        with load(number):
            found = [[measured_apart(lib, net, given.seconds) for lib in LIBRARIES] for _ in range(given.rounds)]
        ours, theirs = (medians([f[i] for f in found]) for i in range(2))
        idle = idle or dict(ours=ours["wall_ms"], theirs=theirs["wall_ms"])
        slower = f"{ours['wall_ms'] / idle['ours']:.1f} / {theirs['wall_ms'] / idle['theirs']:.1f}" if number else ""
        cells = compared(ours, theirs)
        yield f"| {net} | {number} | {' | '.join(cells)} | {slower} |"


def compared(ours, theirs):
    """Cells of a row: our figure, theirs and the ratio, of the time, the processor's and the first call's."""
    return [f"{ours[k]:.3g} / {theirs[k]:.3g} = {ours[k] / theirs[k]:.2f}" for k in ("wall_ms", "cpu_ms", "first_s")]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("nets", nargs="*", default=list(NETS), metavar="NET", help=", ".join(NETS))
    options.add_argument("--load", type=int, default=5, help="processes that compute beside")
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--library", choices=LIBRARIES, help="measure one in this process, and print JSON")
    given = options.parse_args()
    if given.library:
        print(json.dumps(measure(given.library, given.nets[0], given.seconds)))
        return
    print("| network | load | step, ms: mlkit / Keras | processor, ms | first step, s | slower than idle: mlkit / Keras |")
    print("| --- | --- | --- | --- | --- | --- |")
    for net in given.nets:
        for row in rows(net, given):
            print(row, flush=True)


if __name__ == "__main__":
    main()
