"""An epoch of the MLP with `TensorBoard(histogram_freq=1)`: mlkit against Keras on each of its backends that is there.

    python benchmarks/peers.py --tensorboard          once: make Keras's environment, whose callback needs TensorFlow
    python benchmarks/tensorboard_epoch.py [--rounds 3] [--batches 20] [--cache DIR]

The first epoch, which compiles and opens files, is not counted. All run in turns; medians count. Batches have 128 samples.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import peers
from workloads import WORKLOADS

BACKENDS = ("jax", "tensorflow", "torch")
EPOCHS = 5
TARGET = 0.5


def measure(library, batches):
    """Median seconds of an epoch: (without a callback, with it); runs in the environment of the library."""
    if library == "mlkit":
        import mlkit as keras
    else:
        import keras
    model, x, y, options = WORKLOADS["mlp"](keras)
    model.compile(**options)
    x, y = (a[[k % len(a) for k in range(batches * len(a))]] for a in (x, y))

    def epoch(callbacks):
        starts = []
        clock = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: starts.append(time.perf_counter()))
        model.fit(x, y, batch_size=128, epochs=EPOCHS + 2, callbacks=[clock, *callbacks], verbose=0)
        # from one beginning to the next, so that what a callback does at the end of an epoch is in it
        return statistics.median(b - a for a, b in itertools.pairwise(starts[1:]))

    with tempfile.TemporaryDirectory() as folder:
        found = epoch([]), epoch([keras.callbacks.TensorBoard(folder, histogram_freq=1)])
        assert any(pathlib.Path(folder).rglob("*tfevents*"))
    return found


def run(library, batches, cache):
    """The same, in a process of its own; None where the library is not there."""
    python = sys.executable if library == "mlkit" else peers.python_of(cache, "tensorboard")
    backend = {} if library == "mlkit" else {"KERAS_BACKEND": library.removeprefix("keras-")}
    done = subprocess.run(
        [python, __file__, "--measure", library, "--batches", str(batches)],
        env={**os.environ, **backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"{library}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return tuple(map(float, done.stdout.split()))


def main(rounds, batches, cache):
    names = ["mlkit", *(f"keras-{backend}" for backend in BACKENDS)]
    found = {name: [] for name in names}
    for _ in range(rounds):
        for name in [n for n in names if found[n] is not None]:
            times = run(name, batches, cache)
            found[name] = None if times is None else [*found[name], times]
    medians = {name: [statistics.median(part) for part in zip(*times)] for name, times in found.items() if times}
    own = medians["mlkit"][1]
    print(f"| library | an epoch of {batches} batches | with the callback | mlkit / it |\n| --- | --- | --- | --- |")
    for name, (plain, shown) in medians.items():
        print(f"| {name} | {plain:.3f} s | {shown:.3f} s | {own / shown:.2f} |")
    best = min((shown for name, (_, shown) in medians.items() if name != "mlkit"), default=None)
    return 0 if best is not None and own <= TARGET * best else 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batches", type=int, default=20, help="in an epoch")
    options.add_argument("--cache", default=peers.CACHE)
    options.add_argument("--measure", help="mlkit or keras-BACKEND: only print the seconds of its epoch, in this environment")
    given = options.parse_args()
    if given.measure:
        print(*measure(given.measure, given.batches))
    else:
        sys.exit(main(given.rounds, given.batches, given.cache))
