"""Tensors own their memory: writing into an array afterwards changes nothing made from it, and results are nobody else's."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.core.backend import backends, using


@pytest.fixture(params=backends())
def backend(request):
    with using(request.param):
        yield request.param


def test_a_tensor(backend):
    a = np.ones(3, "float32")
    t, sum_, view = ops.convert_to_tensor(a), ops.add(a, 1), ops.reshape(a, (3, 1))
    a[:] = 5
    assert t.numpy().tolist() == [1, 1, 1]
    assert sum_.numpy().tolist() == [2, 2, 2]
    assert view.numpy().ravel().tolist() == [1, 1, 1]


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


@pytest.mark.compiled("an eager function sees what it captured as it is now")
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
        assert p.flags.writeable
        assert not np.shares_memory(p, x)
        p[:] = 1
    assert not x.any()


class OneBuffer(mlkit.utils.PyDataset):
    """Each batch is written into the same array."""

    def __init__(self):
        super().__init__()
        self.buffer = np.empty((2, 4), "float32")

    def __len__(self):
        return 3

    def __getitem__(self, i):
        self.buffer[:] = i
        return self.buffer

    def __iter__(self):
        return (self[i] for i in range(3))


def test_predictions_of_a_source_that_writes_into_one_buffer():
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Reshape((2, 2))])
    parts = [model.predict_on_batch(b) for b in OneBuffer()]
    assert [p.mean() for p in parts] == [0, 1, 2]
    for source in OneBuffer(), iter(OneBuffer()):
        p = model.predict(source, verbose=0)
        assert [p[i].mean() for i in (0, 2, 4)] == [0, 1, 2]


def test_constants_of_a_functional_model():
    c, i = np.ones(4, "float32"), mlkit.Input((4,))
    outputs = [i * c, ops.matmul(i, c), ops.where(i > 0, i, c), layers.Add()([i, c[None]]), ops.stack([i, i + c])]
    model, x = mlkit.Model(i, outputs), np.full((2, 4), -1.0, "float32")
    before = [np.array(t) for t in model(x)]
    c[:] = 7
    for old, new, p in zip(before, model(x), model.predict_on_batch(x), strict=True):
        np.testing.assert_array_equal(new, old)
        np.testing.assert_array_equal(p, old)


ARGUMENTS = {
    "scale": lambda a: layers.Rescaling(a),
    "offset": lambda a: layers.Rescaling(2.0, offset=a),
    "mean": lambda a: layers.Normalization(mean=a, variance=np.ones(3)),
    "variance": lambda a: layers.Normalization(mean=np.zeros(3), variance=a),
    "bin_boundaries": lambda a: layers.Discretization(bin_boundaries=a),
    "constant": lambda a: layers.Dense(3, kernel_initializer=mlkit.initializers.Constant(a)),
    "weights": lambda a: layers.Embedding(1, 3, weights=[a[None]]),
    "idf_weights": lambda a: layers.IntegerLookup(vocabulary=[0, 1, 2], output_mode="tf_idf", idf_weights=a),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arrays_given_to_a_constructor(name):
    a, x = np.arange(1, 4, dtype="float32"), np.zeros((2, 3), "float32")
    layer, fresh = ARGUMENTS[name](a), ARGUMENTS[name](a.copy())
    a[:] = 7
    np.testing.assert_array_equal(layer(x), fresh(x))


def test_results_of_eager_control_flow(backend):
    x, xs = np.ones(4, "float32"), np.ones((3, 4), "float32")
    results = [
        ops.cond(True, lambda: x, lambda: -x),
        ops.switch(0, [lambda v: v], x),
        ops.while_loop(lambda i, v: i < 2, lambda i, v: (i + 1, v), (0, x))[1],
        ops.fori_loop(0, 2, lambda i, v: v, x),
        *ops.scan(lambda c, e: (e, c), x, xs),
        ops.map(lambda e: e, xs),
    ]
    x[:], xs[:] = 7, 7
    assert all(type(t) is mlkit.Tensor and np.all(t.numpy() == 1) for t in results)


def test_arrays_from_tensors():
    t = ops.convert_to_tensor(np.ones(3, "float32"))
    ops.convert_to_numpy(t)[:] = 5
    assert t.numpy().tolist() == [1, 1, 1]
