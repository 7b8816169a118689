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
from mlkit.debugger.journal import Journal

ROUNDS = 31


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


def ratio(parts, shape):
    """Median ratio of a watched step to a plain one, and the plain one's median seconds."""
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential(parts)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    data = rng.random(shape, "float32"), rng.integers(0, 10, shape[0])
    model.train_on_batch(*data)
    plain = model._training.program(model, "train")
    checked = checked_step(model, model.train_step, None)
    journal = Journal([*model.variables, *model.optimizer.variables, *model.metrics_variables])

    def watched(batch):
        journal.begin_step(batch)
        logs, sums, _ = checked(batch)
        journal.end_step()
        assert np.isfinite(sums.numpy()).all()
        return logs

    ratios, seconds = [], []
    for k in range(ROUNDS + 1):
        times = {}
        for step in (plain, watched) if k % 2 else (watched, plain):
            start = time.perf_counter()
            float(flatten(step(data))[0])
            times[step] = time.perf_counter() - start
        if k:
            ratios.append(times[watched] / times[plain])
            seconds.append(times[plain])
    return statistics.median(ratios), statistics.median(seconds)


if __name__ == "__main__":
    print("| network | plain step | watched / plain |\n| --- | --- | --- |")
    for build in (mlp, convolutions, recurrent):
        found, seconds = ratio(*build())
        print(f"| {build.__name__} | {seconds * 1e3:.1f} ms | {found:.3f} |", flush=True)
