"""What a trial costs beyond `fit`: mlkit.tuner against Optuna alone with a bare function that builds and trains the same models.

    python benchmarks/tuner.py [TRIALS]

Both draw at random from the same space, with a journal file for storage. Their trials run in turns in one process; what is counted of each
is its time less that within `fit`. With `pip install optuna`.
"""

import statistics
import sys
import tempfile
import time

import numpy as np
import optuna

import mlkit
from mlkit import layers, tuner

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(512, 32)).astype("float32"), rng.normal(size=(512, 1)).astype("float32")
FIT = {"epochs": 3, "validation_split": 0.25, "verbose": 0, "batch_size": 64}


def network(units, rate):
    model = mlkit.Sequential([mlkit.Input((32,)), layers.Dense(units, activation="relu"), layers.Dense(units), layers.Dense(1)])
    model.compile(mlkit.optimizers.Adam(rate), "mse")
    return model


class Timed(tuner.HyperModel):
    """Notes how long `fit` took."""

    def __init__(self):
        super().__init__()
        self.seconds = 0.0

    def build(self, hp):
        return network(hp.Int("units", 32, 512), hp.Float("rate", 1e-4, 1e-2, sampling="log"))

    def fit(self, hp, model, *args, **kwargs):
        start = time.perf_counter()
        try:
            return model.fit(*args, **kwargs)
        finally:
            self.seconds = time.perf_counter() - start


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    inside = [0.0]

    def bare(trial):
        mlkit.utils.clear_session(free_memory=False)
        model = network(trial.suggest_int("units", 32, 512), trial.suggest_float("rate", 1e-4, 1e-2, log=True))
        start = time.perf_counter()
        history = model.fit(X, Y, **FIT)
        inside[0] = time.perf_counter() - start
        return min(history.history["val_loss"])

    with tempfile.TemporaryDirectory() as folder:
        backend = optuna.storages.journal.JournalFileBackend(f"{folder}/bare.log")
        study = optuna.create_study(storage=optuna.storages.JournalStorage(backend), sampler=optuna.samplers.RandomSampler(0))
        timed = Timed()
        search = tuner.RandomSearch(timed, "val_loss", TRIALS, seed=0, directory=folder, project_name="own")
        pairs, fits = [], []
        for k in range(TRIALS):
            start = time.perf_counter()
            study.optimize(bare, n_trials=1)
            alone = time.perf_counter() - start - inside[0]
            start = time.perf_counter()
            claimed = search.claim()
            search.run_trial(*claimed, (X, Y), FIT)
            own = time.perf_counter() - start - timed.seconds
            if k:
                pairs.append((alone, own))
                fits.append((inside[0], timed.seconds))
    rows = [("beyond fit", pairs), ("fit itself", fits)]
    print("| of a trial | Optuna alone | mlkit.tuner | ratio of medians |\n| --- | --- | --- | --- |")
    for what, times in rows:
        a, b = (statistics.median(column) for column in zip(*times))
        print(f"| {what} | {a * 1e3:.1f} ms | {b * 1e3:.1f} ms | {b / a:.2f} |")


if __name__ == "__main__":
    main()
