"""The pass by which arrays travel to other processes while calls run."""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.compiler.contract import KernelTarget
from mlkit.compiler.passes.overlap import overlap
from mlkit.core.backend import get_backend
from mlkit.core.state import State
from mlkit.primitives.collectives import all_reduce
from tests.core.slow_ranks import Slow

pytestmark = [pytest.mark.usefixtures("all_passes"), pytest.mark.native("a pass")]


def step(x, w1, w2, w3, scale=0.5):
    """New weights of three layers, whose gradients are added last layer first, as optimizers do it."""
    weights = (w1, w2, w3)
    with mlkit.GradientTape() as tape:
        for w in weights:
            tape.watch(w)
            x = ops.tanh(ops.matmul(x, w))
        loss = ops.mean(ops.square(x))
    g1, g2, g3 = tape.gradient(loss, weights)
    (s3,) = all_reduce(g3, scale=scale, label="three")
    s2, s1 = all_reduce(g2, g1, scale=scale, label="two")
    return tuple(w - ops.cast(g, w.dtype) * 0.1 for w, g in zip(weights, (s1, s2, s3)))


def arguments(dtype="float32"):
    rng = np.random.default_rng(0)
    return [ops.convert_to_tensor(rng.normal(size=(8, 8)).astype("float32"), dtype=dtype) for _ in range(4)]


def names(overlaps):
    target = KernelTarget(get_backend("native").kernels)
    target.overlaps = overlaps
    return [call.op.name for call in overlap(mlkit.function(step).graph(*arguments()), target).calls]


def test_starts_stand_where_the_last_gradient_is_made():
    found = names(True)
    first, second = (k for k, name in enumerate(found) if name == "all_reduce_start")
    assert "matmul" in found[first:second]  # the gradients of the other layers are made while the first bucket travels
    assert "matmul" not in found[second:]
    assert (
        found[second + 1] == "all_reduce_wait"
    )  # for the first bucket, whose weights are updated before the wait for the second
    assert "sub" in found[second + 2 : found.index("all_reduce_wait", second + 2)]


def test_without_a_thread_the_order_is_that_of_the_trace():
    found = names(False)
    assert "matmul" not in found[found.index("all_reduce_start") :]
    assert "all_reduce" not in found


@pytest.mark.cpu("its ranks are threads that write memory of NumPy")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_compiled_gives_what_eager_gives(dtype, monkeypatch):
    args = arguments(dtype)
    alone = step(*args, scale=1.0)
    slow = Slow(0.002)
    monkeypatch.setattr(State, "communicator", slow)
    for found in (step(*args), mlkit.function(step)(*args)):
        for a, b in zip(found, alone):  # the sum of two halves
            np.testing.assert_allclose(
                a.numpy().astype("float64"), b.numpy().astype("float64"), rtol=2e-2 if "16" in dtype else 1e-6
            )
    assert slow.said == ["start three", "start two", "wait three", "wait two"]
    assert not slow.under_way
