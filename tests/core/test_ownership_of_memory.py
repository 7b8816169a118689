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
