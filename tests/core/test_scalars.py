"""Tensors without dimensions hold arrays too, wherever they come from and whatever uses them."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.primitives.catalogue import OPS
from tests.ops.checks import array_type

LARGE = (96, 96)  # so many elements that chains of elementwise ops run in the native library


def vector():
    return ops.convert_to_tensor(np.linspace(0.5, 2.0, 5, dtype="float32"))


SOURCES = {
    "sqrt": lambda: ops.sqrt(ops.convert_to_tensor(3.0)),
    "sum": lambda: ops.sum(vector()),
    "max": lambda: ops.max(vector()),
    "mean": lambda: ops.mean(vector()),
    "dot": lambda: ops.dot(vector(), vector()),
    "norm": lambda: ops.norm(vector()),
    "item": lambda: vector()[2],
    "cast": lambda: ops.cast(ops.convert_to_tensor(3), "float32"),
    "cast_of_result": lambda: ops.cast(ops.sum(ops.convert_to_tensor([1, 2])), "float32"),
    "where": lambda: ops.where(ops.convert_to_tensor(True), ops.convert_to_tensor(2.0), 3.0),
    "where a constant holds": lambda: ops.where(ops.ones((), "bool"), 2.0, 3.0),
    "where a constant fails": lambda: ops.where(ops.zeros((), "bool"), vector()[0], vector()[1]),
    "maximum": lambda: ops.maximum(ops.full((), 3.0), 2),
    "quantile": lambda: ops.quantile(vector(), 0.3),
    "loss": lambda: mlkit.losses.MeanSquaredError()(vector(), vector() * 2),
    "loop": lambda: ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, ops.ones(())))[1],
    "scan": lambda: ops.scan(lambda c, x: (c + x, c), ops.zeros(()), vector())[0],
    "variance": lambda: ops.moments(vector(), axes=0)[1],
    "det": lambda: ops.det(ops.eye(2) * 3.0),
    "logsumexp": lambda: ops.logsumexp(vector()),
    "power": lambda: ops.convert_to_tensor(2.0) ** 3,
    "random": lambda: mlkit.random.uniform((), seed=1),
    "numpy": lambda: ops.convert_to_tensor(np.float32(2.5)),
    "gelu": lambda: ops.sqrt(2 / np.pi),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_scalar_in_large_elementwise_code(source):
    make = SOURCES[source]
    x = ops.reshape(ops.linspace(-2.0, 2.0, 96 * 96), LARGE)
    captured = make()

    def programs(v, given):
        return ops.tanh(v * 2 + 1) * captured, ops.tanh(v * 2 + 1) * make(), ops.tanh(v * 2 + 1) * given

    assert type(captured.data) is array_type()
    expected = np.tanh(np.asarray(x) * 2 + 1) * np.asarray(captured)
    for result in mlkit.function(programs)(x, captured):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_a_scalar_made_and_used_in_one_program():
    x = np.random.default_rng(0).normal(size=LARGE).astype("float32")
    f = mlkit.function(lambda v: (ops.tanh(v) * ops.sum(v[0]), ops.sum(v), ops.max(v), ops.argmax(ops.reshape(v, (-1,)))))
    results = f(x)
    np.testing.assert_allclose(results[0], np.tanh(x) * x[0].sum(), rtol=1e-4)
    assert all(type(r.data) is array_type() for r in results)


def test_a_variable_without_dimensions_in_large_elementwise_code():
    v = mlkit.Variable(ops.sqrt(ops.convert_to_tensor(2.0)))
    v.assign(v + ops.sum(vector()))
    result = mlkit.function(lambda x: ops.tanh(x * 2) * v)(ops.ones(LARGE))
    np.testing.assert_allclose(result, np.full(LARGE, np.tanh(2.0) * float(v.value)), rtol=1e-5)


def test_a_variable_that_an_eager_op_made_is_updated_in_programs():
    v = mlkit.Variable(0.0)
    v.assign(ops.sum(vector()))  # eager
    before = v.value
    step = mlkit.function(lambda x: v.assign_add(ops.sum(x)).value)
    assert float(step(vector())) == pytest.approx(12.5)
    assert float(before) == pytest.approx(6.25)
    assert float(step(vector())) == pytest.approx(18.75)


class Scaled(layers.Layer):
    def call(self, x):
        return x * ops.sqrt(ops.cast(x.shape[-1], "float32"))


def test_embedding_scaled_by_its_width():
    model = mlkit.Sequential([mlkit.Input((32,)), layers.Embedding(50, 128), Scaled(), layers.Flatten(), layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).integers(0, 50, (64, 32))
    model.fit(x, np.zeros((64, 1)), verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-4)


def test_kernels_that_return_scalars_give_tensors_of_arrays():
    """What the kernel table holds may be NumPy's own functions."""
    for name in ("exp", "neg", "isnan", "abs", "floor"):
        assert type(OPS[name](ops.convert_to_tensor(1.5)).data) is array_type()
    value, sign = ops.slogdet(ops.eye(2))
    assert type(value.data) is type(sign.data) is array_type()


def test_supervised_kernels_must_return_arrays():
    from mlkit.backends.native.check import CheckError, checked

    with pytest.raises(CheckError, match="tensors hold arrays"):
        checked("exp", lambda x: float(np.exp(x)), {})(np.array(1.0))


@pytest.mark.parametrize("size", [12, 96 * 96])
def test_a_scalar_result_in_compiled_elementwise_code(size):
    """NumPy's kernels give scalars, not arrays, where there are no dimensions."""
    x, root = np.random.default_rng(0).normal(size=size).astype("float32"), ops.sqrt(ops.convert_to_tensor(3.0))
    assert type(root.data) is array_type()
    f = mlkit.function(lambda x: (x * 2) * root * ops.sqrt(ops.convert_to_tensor(3.0)))
    np.testing.assert_allclose(f(x), x * 6, rtol=1e-5)
