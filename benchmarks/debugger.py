"""What it costs to wait for what is not finite on all layers: the watched step against the plain one, of three networks.

    python benchmarks/debugger.py

Both run in turns in one process; the table has medians of the ratios of neighbours, which a machine busy with other work changes little.
"""

import statistics
import time

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.tree import flatten
from mlkit.debugger.checked_step import checked_step
from mlkit.models.journal import Journal

LEAST = 31  # steps of each
SECONDS = 12.0


def mlp():
    dense = [part for _ in range(2) for part in (layers.Dense(512, activation="relu"), layers.Dropout(0.2))]
    return [mlkit.Input((784,)), *dense, layers.Dense(10, activation="softmax")], (128, 784)


def convolutions():
    parts = [mlkit.Input((32, 32, 3))]
    for filters in (32, 64, 128):
        for _ in range(2):
            parts += [layers.Conv2D(filters, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()]
        parts.append(layers.MaxPooling2D())
    return [*parts, layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")], (64, 32, 32, 3)


def recurrent():
    return [mlkit.Input((50, 64)), layers.LSTM(128), layers.Dense(10, activation="softmax")], (32, 50, 64)


def steps(build):
    """The plain step of a network and the watched one, each of a model of its own: a journal holds what another step has changed."""
    rng = np.random.default_rng(0)
    _, shape = build()
    data = rng.random(shape, "float32"), rng.integers(0, 10, shape[0])

    def compiled():
        mlkit.utils.set_random_seed(0)
        model = mlkit.Sequential(build()[0])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.train_on_batch(*data)
        return model

    model, other = compiled(), compiled()
    plain = model._training.program(model, "train")
    checked = checked_step(other, other.train_step, None)
    journal = Journal([*other.variables, *other.optimizer.variables, *other.metrics_variables])

    def watched():
        journal.begin_step([data])
        logs, sums, _ = checked(data)
        journal.end_step()
        assert np.isfinite(sums.numpy()).all()
        return logs

    return lambda: plain(data), watched


def ratio(build):
    """Median ratio of a watched step to a plain one, that of their shortest tenths, and the plain one's median seconds."""
    both = steps(build)
    times = ([], [])
    end, k = time.perf_counter() + SECONDS, -2
    while k < LEAST or time.perf_counter() < end:
        for i in (0, 1) if k % 2 else (1, 0):
            start = time.perf_counter()
            float(flatten(both[i]())[0])
            if k >= 0:
                times[i].append(time.perf_counter() - start)
        k += 1
    plain, watched = (sorted(t) for t in times)
    tenth = len(plain) // 10
    return statistics.median(b / a for a, b in zip(*times)), watched[tenth] / plain[tenth], statistics.median(plain)


if __name__ == "__main__":
    print("| network | plain step | watched / plain | of the shortest tenths |\n| --- | --- | --- | --- |")
    for build in (mlp, convolutions, recurrent):
        found, shortest, seconds = ratio(build)
        print(f"| {build.__name__} | {seconds * 1e3:.1f} ms | {found:.3f} | {shortest:.3f} |", flush=True)
