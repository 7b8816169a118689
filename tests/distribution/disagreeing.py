"""Ranks that would not train the same model, or not as one would: all are told before the first step; and what is only warned of."""

import contextlib
import warnings

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state

rank = state.communicator.rank


def fitted(width=4, activation="relu", extra=(), batch=8):
    mlkit.utils.set_random_seed(1)
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(width, activation), *extra, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.set_weights([w + rank for w in model.get_weights()])
    x = np.random.default_rng(0).normal(size=(batch, 4))
    model.fit(x, x[:, :1], verbose=0, check=False)
    return model


@contextlib.contextmanager
def raising(words):
    try:
        yield
    except RuntimeError as error:
        if words not in str(error):
            raise
    else:
        raise AssertionError(f"nothing was raised, but not {words!r}")


with raising("variable 0 is kernel float32[4, 4] on rank 0 and kernel float32[4, 5] on rank 1"):
    fitted(width=4 + rank)
with raising("The ranks do not train the same model: the number of variables"):
    fitted(extra=[layers.Dropout(0.5)] * rank)
with raising("The ranks would not compute the same: call"):
    fitted(activation="relu" if rank == 0 else "tanh")
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    model = fitted(batch=1)
assert any("A batch of 1 samples is divided among 2 processes: 50% of them have nothing" in str(w.message) for w in told)
every = state.communicator.all_gather_values([w.tolist() for w in model.get_weights()])
assert all(own == every[0] for own in every), "weights begin as those of rank 0"
