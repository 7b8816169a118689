"""A number that is not finite comes up on one rank: all stop, with the same words about it, and have the weights from before the step."""

import contextlib
import io

import numpy as np

import mlkit
from mlkit import layers, ops
from mlkit.core.state import state


def said(x, eager):
    """What a fit on the data says before it stops, on this rank."""
    mlkit.utils.set_random_seed(3)
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Lambda(ops.log, name="logarithm"), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eager)
    before, seen = model.get_weights(), []
    count = mlkit.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    stop = mlkit.callbacks.TerminateOnNaN()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        model.fit(x, x[:, :1], batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[stop, count], check=False)
    assert seen == [0]
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    return printed.getvalue()


rank = state.communicator.rank
good = np.random.default_rng(0).uniform(1, 2, (16, 4)).astype("float32")
for eager in (True, False):
    x = good.copy()
    x[6, 1] = -1  # in the part of rank 1, if there are two
    found = said(x, eager)
    assert "the loss is nan; training ends. On rank 1: It came from the op 'log' in layer 'sequential" in found, found
    assert "logarithm', first at (2, 1) of (4, 4), which is sample 6 of the batch" in found, found
    assert "On rank 0" not in found, found

x = good.copy()
if rank == 1:
    x[6] = np.nan
assert "On rank 1: The data are not finite: x, row 6 of the batch." in said(x, False)
