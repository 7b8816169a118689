"""Python's operators on tensors, variables and symbols, and the functions of mlkit.ops that give no tensor."""

import operator

import numpy as np
import pytest

import mlkit
from mlkit import ops

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
X = np.array([[1.5, 2.0, 3.0], [0.5, 1.0, 2.5]], "float32")
Y = np.array([2.0, 1.0, 0.5], "float32")


@pytest.mark.parametrize("op", BINARY + COMPARISONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", [ops.convert_to_tensor, mlkit.Variable], ids=["tensor", "variable"])
def test_binary(op, kind):
    x = kind(X)
    for other in (Y, ops.convert_to_tensor(Y), mlkit.Variable(Y), 2, 0.5, Y.tolist()):
        np.testing.assert_allclose(op(x, other).numpy(), op(X, np.asarray(other, "float32")), rtol=1e-6)
        np.testing.assert_allclose(op(other, x).numpy(), op(np.asarray(other, "float32"), X), rtol=1e-6)


@pytest.mark.parametrize(
    "op", [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift], ids=lambda f: f.__name__
)
def test_bits(op):
    a, b = np.array([5, 6, 7]), np.array([1, 2, 3])
    np.testing.assert_array_equal(op(ops.convert_to_tensor(a), b).numpy(), op(a, b))
    np.testing.assert_array_equal(op(5, ops.convert_to_tensor(b)).numpy(), op(5, b))


def test_unary_and_matmul():
    x = ops.convert_to_tensor(X)
    np.testing.assert_array_equal((-x).numpy(), -X)
    np.testing.assert_array_equal((+x).numpy(), X)
    np.testing.assert_array_equal(abs(-x).numpy(), X)
    np.testing.assert_array_equal(round(x).numpy(), np.round(X))
    np.testing.assert_array_equal((~(x > 1)).numpy(), ~(X > 1))
    np.testing.assert_allclose((x @ Y).numpy(), X @ Y)
    np.testing.assert_allclose((X @ ops.transpose(x)).numpy(), X @ X.T, rtol=1e-6)
    assert [float(row[0]) for row in x] == [1.5, 0.5]


def test_symbols_record_on_either_side():
    k, x = mlkit.KerasTensor((None, 3)), ops.convert_to_tensor(X)
    for y in (k + x, x + k, 2 - k, k @ ops.ones((3, 4)), mlkit.Variable(X) * k, k[0], ops.stack([x[0], k[0]])):
        assert isinstance(y, mlkit.KerasTensor)
    assert (k + x).shape == (2, 3)
    assert (k == x).dtype == "bool"


def test_other_types_are_left_alone():
    x = ops.convert_to_tensor(X)
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    with pytest.raises(TypeError):
        x + "a"


def test_shape_dtype_and_kind():
    assert ops.shape(X) == (2, 3)
    assert ops.shape(mlkit.KerasTensor((None, 3))) == (None, 3)
    assert ops.dtype(X) == "float32"
    assert ops.dtype(mlkit.KerasTensor((2,), "int32")) == "int32"
    assert ops.dtype([1]) == "int32"
    assert ops.is_tensor(ops.ones(2))
    assert not ops.is_tensor(X)
    assert ops.ndim(X) == 2
    assert ops.size(X) == 6
    for shape in ((None, 2), (3, 2)):
        assert ops.size(mlkit.KerasTensor(shape)).shape == ()


def test_python_numbers_are_weak():
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        assert (ops.ones(2, dtype) * 2.0).dtype == (ops.ones((), dtype) + 1).dtype == dtype
    assert (ops.ones(2, "int8") + 1).dtype == "int8"
    assert (ops.ones(2, "int8") + 1.0).dtype == "float32"
    assert ops.where([True], 1.0, 2).dtype == "float32"


def test_warnings_are_not_given():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = ops.convert_to_tensor([0.0, np.inf, -np.inf, 3e38])
        for f in (ops.log, ops.sqrt, ops.exp, ops.square, ops.sum, ops.cumsum, ops.sin, lambda x: x - x, lambda x: 1 / x):
            f(x)
        ops.cast(x, "int32")
        ops.floor_divide(ops.ones(2, "int32"), ops.zeros(2, "int32"))


def test_vectorize():
    larger = ops.vectorize(lambda a, b: a if a > b else b)
    np.testing.assert_array_equal(larger([1, 5], [[3], [4]]).numpy(), [[3, 5], [4, 5]])
    dot = ops.vectorize(lambda a, b: ops.sum(a * b), signature="(n),(n)->()")
    np.testing.assert_allclose(dot(X, Y).numpy(), X @ Y)
    shifted = ops.vectorize(lambda x, by: x + by, excluded={"by"})
    np.testing.assert_allclose(shifted(Y, by=1.0).numpy(), Y + 1)
    with pytest.raises(ValueError, match="is no signature"):
        ops.vectorize(lambda a: a, signature="n->")(Y)


def test_custom_gradient():
    @ops.custom_gradient
    def doubled(x):
        return x, lambda g: g * 2

    assert float(mlkit.grad(lambda x: doubled(x) * 3.0)(ops.ones(()))) == 6.0


def test_ops_whose_result_depends_on_values_say_so_when_traced():
    with pytest.raises(TypeError, match="has no value"):
        mlkit.function(ops.nonzero)(X)
    assert [i.shape for i in ops.nonzero(mlkit.KerasTensor((2, 3)))] == [(None,), (None,)]


def test_zeros_of_an_unknown_length():
    k = mlkit.KerasTensor((None, 3))
    zeros = mlkit.layers.Lambda(lambda x: ops.zeros((ops.shape(x)[0], 4)))(k)
    assert zeros.shape == (None, 4)


def test_a_number_beyond_an_integer_dtype():
    u = mlkit.ops.convert_to_tensor(np.array([0, 5, 250], "uint8"))
    for always in (u < 300, u > -1, u != -1, mlkit.ops.less(-1, u)):
        assert always.numpy().all()
    for f in (lambda: u + 300, lambda: mlkit.ops.where(u > 3, u, -1)):
        with pytest.raises(OverflowError, match="holds 0 to 255"):
            f()


def test_bounds_and_places_beyond_what_there_is():
    u = np.array([0, 5, 250], "uint8")
    assert (
        ops.clip(u, -1, 300).numpy().tolist()
        == ops.maximum(u, -1).numpy().tolist()
        == ops.minimum(300, u).numpy().tolist()
        == [0, 5, 250]
    )
    assert ops.clip(u, 300, 400).numpy().tolist() == [255] * 3
    with pytest.raises(OverflowError, match="uint8"):
        ops.maximum(u, 300)
    with pytest.raises(ValueError, match="unravel_index"):
        ops.unravel_index(np.array([7, 30]), (2, 3))
    with pytest.raises(ValueError, match="slice"):
        ops.slice(np.arange(12).reshape(3, 4), (-1, 0), (2, 2))
