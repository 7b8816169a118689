"""Tensors own their memory: writing into an array afterwards changes nothing made from it, and results are nobody else's."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.core.backend import using


@pytest.fixture(params=["native", "jax"])
def backend(request):
    with using(request.param):
        yield request.param


def test_a_tensor(backend):
    a = np.ones(3, "float32")
    t, sum_, view = ops.convert_to_tensor(a), ops.add(a, 1), ops.reshape(a, (3, 1))
    a[:] = 5
    assert t.numpy().tolist() == [1, 1, 1] and sum_.numpy().tolist() == [2, 2, 2] and view.numpy().ravel().tolist() == [1, 1, 1]


def test_a_variable(backend):
    a = np.ones(3, "float32")
    v, w = mlkit.Variable(a), mlkit.Variable(np.zeros(3, "float32"))
    w.assign(a)
    a[:] = 5
    assert v.numpy().tolist() == w.numpy().tolist() == [1, 1, 1]
    v.numpy()[:] = 7
    assert v.numpy().tolist() == [1, 1, 1]


def test_a_gradient(backend):
    w, a = mlkit.Variable(np.ones(3, "float32")), np.ones(3, "float32")
    with mlkit.GradientTape() as tape:
        loss = ops.sum(w * ops.convert_to_tensor(a))
    a[:] = 100
    assert tape.gradient(loss, w).numpy().tolist() == [1, 1, 1]


def test_a_captured_constant(backend):
    c, x = np.ones((4, 4), "float32"), np.ones((4, 4), "float32")
    f = mlkit.function(lambda x: (x * c, ops.matmul(x, c)))
    first = [v.numpy().copy() for v in f(x)]
    c[:] = 7
    for old, new in zip(first, f(x)):
        np.testing.assert_array_equal(old, new.numpy())


def test_the_result_of_a_compiled_view(backend):
    x = np.zeros((2, 3), "float32")
    y = mlkit.function(lambda x: ops.reshape(x, (3, 2)))(x)
    x[:] = 7
    assert not y.numpy().any()


def test_what_a_program_returns_or_assigns(backend):
    """Programs read arrays where they lie, so nothing they leave behind may lie there."""
    kept = mlkit.Variable(np.zeros((2, 3), "float32"))

    @mlkit.function
    def f(x, y):
        kept.assign(x)
        looped = ops.while_loop(lambda i, v: i < 0, lambda i, v: (i + 1, v), (0, x))[1]
        return x, ops.transpose(x)[1:], [x, y], looped, ops.cond(ops.sum(y) > 0, lambda: x, lambda: x + 1), ops.stop_gradient(y)

    x, y = np.ones((2, 3), "float32"), np.arange(3)
    results = mlkit.tree.flatten(f(x, y))
    before = [np.array(t) for t in results] + [kept.numpy().copy()]
    x[:], y[:] = 7, 7
    for old, new in zip(before, [*results, kept.value], strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.parametrize("kind", ["read-only", "misaligned", "other byte order", "backwards", "transposed", "one element"])
def test_arrays_that_lie_in_memory_in_other_ways(kind, backend):
    plain = np.random.default_rng(0).random((20, 20), dtype="float32")
    x = plain.copy()
    if kind == "read-only":
        x.flags.writeable = False
    elif kind == "misaligned":
        x = np.frombuffer(b"." + plain.tobytes(), "uint8")[1:].view("float32").reshape(20, 20)
    elif kind == "other byte order":
        x = plain.astype(">f4")
    elif kind == "backwards":
        x = plain[::-1, ::-1].copy()[::-1, ::-1]
    elif kind == "transposed":
        x = plain.T.copy().T
    elif kind == "one element":
        x = plain = np.broadcast_to(np.float32(0.5), (20, 20))
    f = mlkit.function(lambda x: (ops.matmul(x, x), ops.exp(x) * 2 + x, ops.softmax(x), x))
    for found, expected in zip(f(x), f(plain.copy()), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_a_list_of_an_array(backend):
    x = np.zeros(2, "float32")
    t = ops.convert_to_tensor([x, x])
    x[:] = 7
    assert not t.numpy().any()


@pytest.mark.parametrize("samples", [3, 40])
def test_predictions(samples):
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Reshape((2, 2))])
    x = np.zeros((samples, 4), "float32")
    for p in (model.predict(x, verbose=0), model.predict_on_batch(x)):
        assert p.flags.writeable and not np.shares_memory(p, x)
        p[:] = 1
    assert not x.any()


def test_predictions_of_a_source_that_writes_into_one_buffer():
    def batches():
        buffer = np.empty((2, 4), "float32")
        for i in range(3):
            buffer[:] = i
            yield buffer

    model = mlkit.Sequential([mlkit.Input((4,)), layers.Reshape((2, 2))])
    parts = [model.predict_on_batch(b) for b in batches()]
    assert [p.mean() for p in parts] == [0, 1, 2]


def test_arrays_from_tensors():
    t = ops.convert_to_tensor(np.ones(3, "float32"))
    ops.convert_to_numpy(t)[:] = 5
    assert t.numpy().tolist() == [1, 1, 1]
