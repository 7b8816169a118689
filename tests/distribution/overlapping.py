"""Gradients travel while others are computed: the same numbers, and errors come to light."""

import functools

import numpy as np

import mlkit
from mlkit import distribution, layers
from mlkit.backends.native.mpi import MpiCommunicator
from mlkit.core.state import State, state
from mlkit.distribution import buckets, replicas


def trained(overlaps):
    """The weights of a model whose gradients are several buckets, and how many of them travelled on their own."""
    State.communicator = MpiCommunicator(overlaps=overlaps)
    distribution.set_distribution(distribution.DataParallel())
    mlkit.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)).astype("float32"), rng.integers(0, 3, 20)
    model = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(9, "relu"), layers.Dense(9, "tanh"), layers.Dense(3)])
    model.compile("adam", mlkit.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    travelled, start = [], state.communicator.start
    state.communicator.start = lambda array, reduction, label: (travelled.append(label), start(array, reduction, label))
    model.fit(x, y, batch_size=6, epochs=2, verbose=0)
    state.communicator.start = start
    assert not state.communicator._traveling
    return model.get_weights(), travelled


replicas.in_buckets = functools.partial(buckets.in_buckets, full=64)
before, _ = trained(False)
after, travelled = trained(True)
for one, other in zip(before, after):
    np.testing.assert_array_equal(one, other)
assert any("bucket 2: " in label for label in travelled), travelled

array = np.zeros(3, "datetime64[s]")  # which MPI does not add
state.communicator.start(array, label="bucket 7: some weights")
try:
    state.communicator.wait(array)
except Exception as error:
    if "bucket 7: some weights" not in str(error):
        raise
else:
    raise AssertionError("nothing was raised")
state.communicator.start(array, label="nobody waits for it")
state.communicator.free(array)
array = np.ones(3)
state.communicator.start(array, label="after an error")
state.communicator.wait(array)
assert array.tolist() == [state.communicator.size] * 3
