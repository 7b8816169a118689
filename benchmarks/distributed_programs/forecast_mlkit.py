"""A forecast beside what it foretells: the network is one whose messages take their time by sleeping. Run by several ranks.

python forecast_mlkit.py BANDWIDTH LATENCY    prints the seconds of a step, forecast and measured
"""

import sys
import time

import numpy as np

import mlkit
from mlkit import distribution, layers
from mlkit.core.state import state
from mlkit.models.forecast import ring_seconds

bandwidth, latency = map(float, sys.argv[1:])
communicator = state.communicator
size, together = communicator.size, distribution.distribution()


class Slow:
    """MPI's communicator, over a network of that bandwidth and latency."""

    def __init__(self, comm):
        self._comm = comm

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def Allreduce(self, place, array, operation):
        time.sleep(ring_seconds(array.nbytes, size, bandwidth, latency))
        self._comm.Allreduce(place, array, operation)


def make():
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential(
        [
            mlkit.Input((512,)),
            layers.Dense(1024, "relu"),
            layers.Dense(1024, "relu"),
            layers.Dense(1024, "relu"),
            layers.Dense(8),
        ]
    )
    model.compile(mlkit.optimizers.SGD(1e-3), "mse")
    return model


rng = np.random.default_rng(0)
x, y = rng.normal(size=(128, 512)).astype("float32"), rng.normal(size=(128, 8)).astype("float32")
distribution.set_distribution(None)  # the step of one process, while as many compute as later on
communicator.all_gather_values(0)
found = distribution.forecast(
    make(),
    (x, y),
    workers=size,
    bandwidth=bandwidth,
    latency=latency,
    overlap=getattr(communicator, "overlaps", False),
    runs=15,
)
distribution.set_distribution(together)
model, steps, begun, took = make(), 8, [], []
record = mlkit.callbacks.LambdaCallback(
    on_epoch_begin=lambda epoch, logs: begun.append(time.perf_counter()),
    on_epoch_end=lambda epoch, logs: took.append((time.perf_counter() - begun[-1]) / steps),
)
whole = [np.concatenate([a] * size * steps) for a in (x, y)]
model.fit(*whole, batch_size=128 * size, epochs=1, verbose=0)
for name in ("_comm", "_apart"):
    if hasattr(communicator, name):
        setattr(communicator, name, Slow(getattr(communicator, name)))
model.fit(*whole, batch_size=128 * size, epochs=4, verbose=0, callbacks=[record])
if communicator.rank == 0:
    print(f"seconds {found.step + found.exposed} {np.median(took)}")
