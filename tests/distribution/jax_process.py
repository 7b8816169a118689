"""One of the processes of tests/distribution/test_jax_processes.py: joins the others, trains, and says what came of it as JSON.

python jax_process.py FOLDER WAY    KERAS_DISTRIBUTION_* say who it is; without them it is alone
"""

import json
import os
import pathlib
import sys

import jax
import numpy as np

import mlkit
from mlkit import distribution, layers


def main(folder, way):
    mlkit.config.set_backend("jax")
    if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
        distribution.initialize()
    count, number = jax.process_count(), jax.process_index()
    drawn = float(np.random.rand())  # the same everywhere
    mlkit.utils.set_random_seed(1)
    if way == "batch":
        distribution.set_distribution(distribution.DataParallel())
    elif way in ("parts", "saved"):
        mesh = distribution.DeviceMesh((4,), ["data"])
        layouts = distribution.LayoutMap.shard_largest_axis(mesh, "data", min_size=0)
        distribution.set_distribution(distribution.ModelParallel(layout_map=layouts))
    elif way == "own":  # each process brings its own part
        distribution.set_distribution(distribution.DataParallel(auto_shard_dataset=False))
    rng = np.random.default_rng(0)
    samples = 32 if way == "batch" else 36  # with a last batch that is smaller
    x, y = rng.normal(size=(samples, 12)).astype("float32"), rng.integers(0, 4, samples)
    model = mlkit.Sequential([mlkit.Input((12,)), layers.Dense(16, "relu"), layers.Dropout(0.2), layers.Dense(4)])
    model.compile("adam", mlkit.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    if way == "own":
        x, y = x[:32], y[:32]
        mine = np.arange(32).reshape(-1, 16)[:, number * 16 // count : (number + 1) * 16 // count].ravel()
        history = model.fit(x[mine], y[mine], batch_size=16 // count, epochs=2, verbose=0, shuffle=False).history
        predictions = None
    elif way in ("saved", "resumed"):
        backup = mlkit.callbacks.BackupAndRestore(pathlib.Path(folder).parent / "backup", delete_checkpoint=False)
        history = model.fit(x, y, batch_size=16, epochs=1 + (way == "resumed"), verbose=0, callbacks=[backup]).history
        predictions = None
    else:
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
        predictions = model.predict(x, batch_size=16, verbose=0).tolist()
    result = {
        "processes": count, "history": history, "predictions": predictions, "weights": [w.tolist() for w in model.get_weights()],
        "drawn": drawn, "evaluate": model.evaluate(x, y, batch_size=16, verbose=0) if way != "own" else None,
    }  # fmt: skip
    (pathlib.Path(folder) / f"{number}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
