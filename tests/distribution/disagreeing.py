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
with raising("do not go through the same data: the number of samples is 8 on rank 0 and 9 on rank 1"):
    fitted(batch=8 + rank)
model, x = fitted(), np.ones((8, 4))
with raising("`epochs` is 1 on rank 0 and 2 on rank 1"):
    model.fit(x, x[:, :1], epochs=1 + rank, verbose=0, check=False)
with raising("`initial_epoch` is 0 on rank 0 and 1 on rank 1"):
    model.fit(x, x[:, :1], epochs=3, initial_epoch=rank, verbose=0, check=False)
with raising("`validates` is True on rank 0 and False on rank 1"):
    model.fit(x, x[:, :1], validation_data=None if rank else (x, x[:, :1]), verbose=0, check=False)
with raising("the batch size is 2 on rank 0 and 3 on rank 1"):
    model.predict(x, batch_size=2 + rank, verbose=0)
with raising("the number of batches is 1 on rank 0 and 2 on rank 1"):
    model.evaluate(x, x[:, :1], batch_size=4, steps=1 + rank, verbose=0)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    model = fitted(batch=1)
assert any("A batch of 1 samples is divided among 2 processes: 50% of them have nothing" in str(w.message) for w in told)
every = state.communicator.all_gather_values([w.tolist() for w in model.get_weights()])
assert all(own == every[0] for own in every), "weights begin as those of rank 0"
