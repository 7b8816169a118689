"""The pass by which plain gradient descent changes only the rows of a table that were looked up."""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.simplify import simplify
from mlkit.compiler.passes.update_rows import update_rows
from mlkit.primitives.fused import sgd_update

pytestmark = [pytest.mark.usefixtures("all_passes"), pytest.mark.native("a pass")]


def arguments(rows, number):
    rng = np.random.default_rng(0)
    table, slope = rng.normal(size=(rows, 4)).astype("float32"), rng.normal(size=(number, 4)).astype("float32")
    return ops.convert_to_tensor(table), ops.convert_to_tensor(rng.integers(0, rows, number).astype("int32")), slope


def step(momentum=0.0, look=False):
    """A function of a table, indices and weights of the rows taken that returns the new table."""

    def run(table, index, slope):
        with mlkit.GradientTape() as tape:
            tape.watch(table)
            loss = ops.sum(ops.square(ops.take(table, index, axis=0)) * slope)
        g = tape.gradient(loss, table)
        slots = [table * 0.5] if momentum else []
        new = sgd_update(table, *slots, g, ops.convert_to_tensor(0.1), momentum=momentum, nesterov=False)
        return (*new, g) if look else new

    return run


def names(fn, args):
    return [c.op.name for c in prune(update_rows(simplify(mlkit.function(fn).graph(*args)))).calls]


def test_rows_that_were_taken_change_and_the_others_stay():
    args = arguments(rows=50, number=20)
    found = names(step(), args)
    assert "scatter_add" in found
    assert "sum_rows" not in found
    assert "sgd_update" not in found
    (new,) = mlkit.function(step())(*args)
    np.testing.assert_allclose(new.numpy(), step()(*args)[0].numpy(), rtol=1e-6, atol=1e-6)
    others = np.setdiff1d(np.arange(50), args[1].numpy())
    np.testing.assert_array_equal(new.numpy()[others], args[0].numpy()[others])


@pytest.mark.parametrize(
    "fn, rows",
    [(step(momentum=0.9), 50), (step(look=True), 50), (step(), 10)],
    ids=["momentum", "gradient wanted", "most rows"],
)
def test_other_updates_stay(fn, rows):
    args = arguments(rows, number=20)
    assert "sgd_update" in names(fn, args)
    for a, b in zip(mlkit.function(fn)(*args), fn(*args)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-6)
