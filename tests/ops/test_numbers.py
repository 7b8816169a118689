"""Python numbers beside integer tensors. What the dtype holds counts as an element; of what lies beyond, comparisons and bounds answer
as mathematics does, and everything else refuses it in words. Eager and compiled calls agree."""

import re

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core import dtypes, tree
from mlkit.core.dtypes import NumberError
from mlkit.primitives.convert import as_tensor
from tests.ops.checks import flat
from tests.ops.sample import Maker, gather, ids

INTEGERS = dtypes.INTS + dtypes.UINTS
EXACT = ("bool", *INTEGERS)
NUMBERS = (-1, 256, 2**40, -(2**70), float("inf"), float("nan"), 1.5)
CAST_BACK = {"layer_normalization", "rms_normalization"}  # compute in floats and answer in the input's dtype, as in Keras
COUNTS = {
    "while_loop",
    "fori_loop",
    "switch",
    "histogram",
}  # a number says how often or how many, or goes on to Python's own operators
BARE = (
    r"ufunc|UFunc|Cannot cast|loop of|out of bounds for u?int|too large to convert|convert float|has no attribute|not iterable"
)


def value_rows():
    """One row of each public function of two tensors or more, and the places of these among its arguments."""
    rows = {}
    for row in gather("SAMPLES"):
        leaves = tree.flatten((row.args, row.kwargs))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Maker)]
        if not (row.op or row.fn or row.option("eager_only", False) or row.name in COUNTS) and len(places) > 1:
            rows.setdefault((row.name, len(places)), (row, leaves, places))
    return list(rows.values())


ROWS = value_rows()


def outcome(f, tensors):
    try:
        return f(*tensors)
    except Exception as error:
        return error


def with_number(row, leaves, arrays, place, number):
    """The row as a function of its tensors, with a number at one place."""

    def call(*tensors):
        given = list(leaves)
        given[place] = number
        for i, t in zip(arrays, tensors):
            given[i] = t
        args, kwargs = tree.pack_sequence_as((row.args, row.kwargs), given)
        return flat(row.function(*args, **kwargs))

    return call


@pytest.mark.parametrize("row, leaves, places", ROWS, ids=ids([r for r, _, _ in ROWS]))
def test_a_number_in_place_of_a_tensor(row, leaves, places):
    for k, (place, number) in enumerate((p, n) for p in places for n in NUMBERS):
        dtype = INTEGERS[(k + len(row.name)) % len(INTEGERS)]
        arrays = {
            i: (np.arange(np.prod(leaves[i].shape)).reshape(leaves[i].shape) % 3).astype(dtype) for i in places if i != place
        }
        check(row, dtype, number, arrays, lambda n, place=place, arrays=arrays: with_number(row, leaves, arrays, place, n))


def check(row, dtype, number, arrays, call_with):
    """The call with the number is refused in words or answers rightly, compiled too."""
    tensors, what = list(map(as_tensor, arrays.values())), f"{row.name}, {number} beside {dtype}"
    eager, compiled = outcome(call_with(number), tensors), outcome(mlkit.function(call_with(number)), tensors)
    if isinstance(eager, Exception):
        assert isinstance(compiled, Exception), f"{what}: eager {eager!r}, compiled {compiled}"
        assert isinstance(eager, type(compiled)) or isinstance(compiled, type(eager)), f"{what}: {eager!r}, {compiled!r}"
        for error in (eager, compiled):
            assert str(error), f"{what}: {error!r}"
            assert not re.search(BARE, str(error)), f"{what}: {error!r}"
        if isinstance(eager, NumberError):
            assert eager.function == row.name.rpartition(".")[2], what
            assert str(number) in str(eager), what
            assert "does not fit into dtype" in str(eager), what
        return
    assert not isinstance(compiled, Exception), f"{what}: eager {eager}, compiled {compiled!r}"
    for a, b in zip(eager, compiled):
        assert a.dtype == b.dtype, what
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-4, err_msg=what)
    if isinstance(number, int) and not dtypes.holds(dtype, number) and row.name not in CAST_BACK:
        wide = outcome(call_with(float(number)), [as_tensor(a.astype("float64")) for a in arrays.values()])
        for a, b in zip(eager, () if isinstance(wide, Exception) else wide):
            if a.dtype in EXACT:  # accepted: then as mathematics says
                np.testing.assert_array_equal(np.asarray(a, "float64"), np.asarray(b, "float64"), err_msg=what)


MADE = {  # name: (call with a number and a dtype, numbers beyond uint8 that it answers nevertheless)
    "convert_to_tensor": (lambda n, d: ops.convert_to_tensor(n, d), ()),
    "convert_to_tensor of a list": (lambda n, d: ops.convert_to_tensor([[n], [1]], d), ()),
    "array": (lambda n, d: ops.array(n, d), ()),
    "cast": (lambda n, d: ops.cast(n, d), ()),
    "full": (lambda n, d: ops.full((2,), n, d), ()),
    "full_like": (lambda n, d: ops.full_like(ops.zeros((2,), d), n), ()),
    "pad": (lambda n, d: ops.pad(ops.ones((2,), d), 1, constant_values=n), ()),
    "pad by sides": (lambda n, d: ops.pad(ops.ones((2,), d), 1, constant_values=(n, 0)), ()),
    "arange": (lambda n, d: ops.arange(n, n + 2, dtype=d), ()),
    "linspace": (lambda n, d: ops.linspace(0, n, 3, dtype=d), ()),
    "geomspace": (lambda n, d: ops.geomspace(1, n, 3, dtype=d), ()),
    "logspace": (lambda n, d: ops.logspace(0, 1, 3, base=n, dtype=d), ()),
    "where": (lambda n, d: ops.where([True, False], ops.ones((2,), d), n), ()),
    "select": (lambda n, d: ops.select([[True, False]], [ops.ones((2,), d)], n), ()),
    "scatter_update": (lambda n, d: ops.scatter_update(ops.ones((2,), d), [[0]], [n]), ()),
    "slice_update": (lambda n, d: ops.slice_update(ops.ones((2,), d), [0], [n]), ()),
    "max": (lambda n, d: ops.max(ops.ones((2,), d), initial=n), ()),
    "Variable": (lambda n, d: mlkit.Variable(n, dtype=d).value, ()),
    "assign": (lambda n, d: mlkit.Variable([1, 1], dtype=d).assign([n, n]).value, ()),
    "assign_add": (lambda n, d: mlkit.Variable([1, 1], dtype=d).assign_add(n).value, ()),
    "Constant": (lambda n, d: mlkit.initializers.Constant(n)((2,), d), ()),
    "randint": (lambda n, d: mlkit.random.randint((2,), n, n + 2, dtype=d), ()),
    "clip": (lambda n, d: ops.clip(ops.ones((2,), d), n, None), (-1, -(2**70), 256, 2**40)),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_numbers_that_become_elements(name, dtype):
    make, answered = MADE[name]
    for number in NUMBERS[:4]:
        if dtypes.holds(dtype, number) and dtypes.holds(dtype, number + 2):
            assert make(number, dtype).dtype == dtype
        elif number not in answered and not dtypes.holds(dtype, number):
            with pytest.raises((NumberError, ValueError), match="does not fit into dtype|finite|positive|above"):
                make(number, dtype)


@pytest.mark.parametrize("name", ["convert_to_tensor", "cast", "full", "pad", "linspace", "Variable", "scatter_update"])
@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_integers_have_no_infinity(name, number):
    with pytest.raises(NumberError, match=f"the number {number} does not fit into dtype int32"):
        MADE[name][0](number, "int32")
    assert int(ops.convert_to_tensor(1.5, "int32")) == 1  # a fraction is dropped, as by casts


def test_comparisons_and_bounds_answer_as_mathematics_does():
    def compiled(f, number):
        return mlkit.function(lambda t: f(t, number))

    for dtype in (*INTEGERS, "bool"):
        x = ops.cast([0, 1, 1], dtype)
        for number in (2**70, 2**40, 256, -1, -(2**70)):
            for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
                f = getattr(ops, compare.__name__)
                expected = [bool(compare(n, float(number))) for n in (0, 1, 1)]
                assert f(x, number).numpy().tolist() == compiled(f, number)(x).numpy().tolist() == expected
                assert f(number, x).numpy().tolist() == [bool(compare(float(number), n)) for n in (0, 1, 1)]
            assert not ops.isin(x, number).numpy().any()
            assert not ops.isclose(x, number).numpy().any()
    u = ops.convert_to_tensor(np.array([0, 5, 250], "uint8"))
    assert ops.searchsorted(u, 256) == 3
    assert ops.searchsorted(u, -1) == 0


def test_places_are_counted_in_integers_wide_enough():
    """Narrow integers are good places for elements of long axes, and class numbers of many classes."""
    line = ops.arange(300)
    for dtype in ("int8", "uint8", "int16"):
        places = ops.convert_to_tensor(np.array([1, 100], dtype))
        for f in (lambda p: line[p], lambda p: ops.take(line, p), lambda p: ops.reshape(line, (30, 10))[p // 10, p % 10]):
            assert f(places).numpy().tolist() == mlkit.function(f)(places).numpy().tolist() == [1, 100]
        hot = ops.one_hot(places, 300)
        assert np.argwhere(hot.numpy()).tolist() == [[0, 1], [1, 100]]
        start = mlkit.function(lambda s: ops.slice(line, [s], (200,)))(places[1])
        assert start.numpy()[0] == 100
        assert start.shape == (200,)
    assert line[ops.convert_to_tensor(np.array([-1], "int8"))].numpy() == [299]
    rows, columns = ops.unravel_index(np.array([7, 100], "uint8"), (3, 300))
    assert rows.numpy().tolist() == [0, 0]
    assert columns.numpy().tolist() == [7, 100]


def test_a_traced_and_a_symbolic_call_name_the_function_too():
    u = ops.ones((2,), "uint8")
    for f in (lambda x: x + 300, lambda x: ops.where(x > 0, x, 300), lambda x: 300 * x):
        with pytest.raises(
            NumberError, match="^(add|where|multiply): the number 300 does not fit into dtype uint8, which holds 0 to"
        ):
            mlkit.function(f)(u)
        with pytest.raises(NumberError, match="^(add|where|multiply): "):
            f(mlkit.KerasTensor((None,), "uint8"))
    with pytest.raises(OverflowError, match="in layer"):
        mlkit.layers.Lambda(lambda x: x + 300, name="shift")(u)


@pytest.mark.parametrize(
    "name", ["bitwise_and", "bitwise_xor", "left_shift", "bitwise_right_shift", "bitwise_invert", "argpartition"]
)
def test_placeholders_of_floats_are_taken_and_the_numbers_refused(name):
    """As in Keras, where a KerasTensor is of float32 unless told: what does not fit is said when there are values."""
    x = mlkit.Input((3,))
    others = {"bitwise_invert": (), "argpartition": (7,)}.get(name, (mlkit.Input((1,)),))
    out = getattr(ops, name)(x, *others)
    assert out.shape == (None, 3)
    model = mlkit.Model([x, *(t for t in others if isinstance(t, mlkit.KerasTensor))], out)
    with pytest.raises((TypeError, ValueError), match="integers|kth"):
        model([np.ones((2, 3), "float32"), np.ones((2, 1), "float32")][: len(model.inputs)])
    with pytest.raises((TypeError, ValueError), match="integers|kth"):
        model.predict([np.ones((2, 3), "float32"), np.ones((2, 1), "float32")][: len(model.inputs)], verbose=0)


def test_full_of_a_complex_number():
    """Its imaginary part is not lost in silence."""
    assert ops.full((2,), 1j).dtype == "complex64"
    assert ops.full((2,), 1j, dtype="complex128").numpy().tolist() == [1j, 1j]
    with pytest.raises(TypeError, match="complex.*real part"):
        ops.full((2,), 1j, dtype="float32")


def test_imaginary_parts_are_not_dropped_in_silence():
    """As in Keras: arrays with a warning, Python numbers not at all. Truth is that of the whole number."""
    z = np.array([1 + 2j, 1j], "complex64")
    for convert in (ops.cast, ops.convert_to_tensor, ops.array, lambda z, dtype: mlkit.Variable(z, dtype=dtype)):
        with pytest.warns(
            np.exceptions.ComplexWarning, match=r"from complex64 to float32 drops the imaginary parts.*ops\.real"
        ):
            assert convert(z, "float32").numpy().tolist() == [1.0, 0.0]
    assert ops.cast(z, "bool").numpy().tolist() == [True, True]
    for given in (1j, [1.0, 2j]):
        with pytest.raises(TypeError, match="complex.*real part"):
            ops.convert_to_tensor(given, "float32")
    with pytest.raises(TypeError, match="complex.*real part"):
        ops.cast(1j, "int32")
