"""What mlkit costs above its kernels: an op call, a taped call, a staged step, the first step, the import.

    python benchmarks/overhead.py

Prints a table of medians. Ratios are against NumPy, or against the eager run, in the same process.
"""

import statistics
import subprocess
import sys
import time

import numpy as np


def median(run, repeat=7, number=2000):
    """Median seconds of one call over `repeat` groups of `number` calls."""
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(number):
            run()
        times.append((time.perf_counter() - start) / number)
    return statistics.median(times)


def import_seconds(statement, repeat=7):
    """Median seconds of a fresh Python that runs an import, less an empty one."""

    def once(code):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    pairs = [(once(statement), once("pass")) for _ in range(repeat)]
    return statistics.median(a - b for a, b in pairs)


def op_calls():
    from mlkit import GradientTape, ops

    a, b = np.ones((8, 8), "float32"), np.ones((8, 8), "float32")
    ta, tb = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    plain = median(lambda: np.add(a, b))
    eager = median(lambda: ops.add(ta, tb))
    with GradientTape(persistent=True) as tape:
        tape.watch(ta)
        taped = median(lambda: ops.add(ta, tb), number=300)
    return [("numpy.add, 8x8", plain, 1.0), ("ops.add", eager, eager / plain), ("ops.add, taped", taped, taped / plain)]


def mlp_step():
    import mlkit
    from mlkit import layers

    mlkit.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.random((128, 784), "float32"), rng.integers(0, 10, 128)

    def build(eager):
        model = mlkit.Sequential(
            [
                mlkit.Input((784,)),
                layers.Dense(512, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(512, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eager)
        return model

    start = time.perf_counter()
    staged = build(False)
    staged.train_on_batch(x, y)
    first = time.perf_counter() - start
    op_by_op = build(True)
    eager = median(lambda: op_by_op.train_on_batch(x, y), 5, 10)
    step = median(lambda: staged.train_on_batch(x, y), 5, 20)
    return [
        ("MLP step, eager", eager, 1.0),
        ("MLP step, staged", step, step / eager),
        ("MLP build + compile + first step", first, first / eager),
    ]


if __name__ == "__main__":
    numpy_import, own_import = import_seconds("import numpy"), import_seconds("import mlkit")
    rows = [
        ("import numpy", numpy_import, 1.0),
        ("import mlkit", own_import, own_import / numpy_import),
        *op_calls(),
        *mlp_step(),
    ]
    print(f"| {'what':34} | {'time':>10} | {'ratio':>6} |\n| --- | --- | --- |")
    for what, seconds, ratio in rows:
        shown = f"{seconds * 1e6:.2f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
        print(f"| {what:34} | {shown:>10} | {ratio:6.2f} |")
