"""Each rank has data of its own, rank 1 fewer batches; then what all must have in common is compared."""

import warnings

import numpy as np

import mlkit
from mlkit import distribution, layers
from mlkit.core.state import state

rank = state.communicator.rank
distribution.set_distribution(distribution.DataParallel(auto_shard_dataset=False))
whole = distribution.distribution()
assert (whole.num_model_replicas, whole.num_processes, whole.data_shard_id) == (state.communicator.size,) * 2 + (rank,)
mlkit.utils.set_random_seed(1)
model = mlkit.Sequential(
    [mlkit.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)]
)
model.compile("adam", "mse", metrics=["mae"])
rng = np.random.default_rng(rank)


def batches():
    for _ in range(4 - rank):
        yield rng.normal(size=(5 + rank, 4)).astype("float32"), rng.normal(size=(5 + rank, 1)).astype("float32")


seen = []
record = mlkit.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    model.fit(batches(), epochs=1, verbose=0, callbacks=[record])
assert len(seen) == 3, seen
assert any("The data of rank 1 ran out before those of the others" in str(w.message) for w in told)
every = state.communicator.all_gather_values((seen, [w.tolist() for w in model.get_weights()]))
assert all(one == every[0] for one in every), "the ranks differ"
assert model.get_weights()[4].std() > 0  # the moving mean has moved
predicted = model.predict(np.full((2 + rank, 4), rank, "float32"), verbose=0)
assert predicted.shape == (2 * state.communicator.size + 1, 1), predicted.shape  # those of rank 0, then those of rank 1
assert np.ptp(predicted[:2]) == 0
assert np.ptp(predicted[2:]) == 0
