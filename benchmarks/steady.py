"""What many small calls cost, and whether memory stays flat.

    python benchmarks/steady.py [--calls 100000] [--models 300]

Prints a table: one-sample predict() of a small MLP, in itself and against model(x); the growth of resident memory over many
such calls; and over many models that are built, fitted and deleted.
"""

import argparse

import numpy as np
from timing import median_ms

import mlkit
from mlkit import layers


def small_mlp():
    model = mlkit.Sequential([mlkit.Input((32,)), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def resident_mb():
    """Memory of this process now."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def growth(run, count, settled):
    """MB by which the process grew over `count` runs, after `settled` that are not counted."""
    for _ in range(settled):
        run()
    before = resident_mb()
    for _ in range(count):
        run()
    return resident_mb() - before


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=100_000)
    options.add_argument("--models", type=int, default=300)
    given = options.parse_args()
    x, y = np.ones((64, 32), "float32"), np.zeros(64, "int32")
    one, model = x[:1], small_mlp()

    def life():
        small_mlp().fit(x, y, verbose=0)

    predict = median_ms(lambda: model.predict(one, verbose=0), 1.0, least=1000) * 1e3
    call = median_ms(lambda: model(one), 1.0, least=1000) * 1e3
    rows = [
        ("predict() of one sample", f"{predict:.0f} us", "100 us", predict <= 100),
        ("the same / model(x)", f"{predict / call:.2f}", "1.5", predict <= 1.5 * call),
    ]
    for what, run, count in (
        ("predict() calls", lambda: model.predict(one, verbose=0), given.calls),
        ("models", life, given.models),
    ):
        mb = growth(run, count, settled=count // 3 + 1)
        rows.append((f"memory after {count:,} {what}", f"{mb:+.2f} MB", "1 MB", mb <= 1))
    print("| what | found | at most | |\n| --- | --- | --- | --- |")
    for what, found, target, met in rows:
        print(f"| {what} | {found} | {target} | {'met' if met else 'missed'} |")


if __name__ == "__main__":
    main()
