"""What a Variable accepts, and what its operators mean."""

import threading

import numpy as np
import pytest

import mlkit


def test_the_initializer_may_be_a_name():
    v = mlkit.Variable("ones", shape=(2, 3), dtype="int32")
    assert v.dtype == "int32"
    np.testing.assert_array_equal(v.numpy(), np.ones((2, 3)))


def test_a_named_initializer_needs_a_shape():
    with pytest.raises(ValueError, match="needs `shape`"):
        mlkit.Variable("ones")


def test_conditions_of_variables_and_symbols_are_joined_not_their_bits():
    v, other = mlkit.Variable([1.0, 0.0]), np.array([2.0, 3.0])
    assert (v & other).numpy().tolist() == [True, False]
    assert (v | other).numpy().tolist() == [True, True]
    assert (other ^ v).numpy().tolist() == [False, True]
    assert (mlkit.Input((2,)) & mlkit.Input((2,))).dtype == "bool"


def test_a_tensor_joins_bits():
    assert (mlkit.ops.array([6], "int32") & 3).numpy().tolist() == [2]


def test_a_variable_is_no_condition():
    with pytest.raises(TypeError, match="cannot be used as a condition"):
        bool(mlkit.Variable([1.0, 2.0]))


def test_overwrite_with_gradient_is_a_bool():
    v = mlkit.Variable(1.0)
    with pytest.raises(TypeError, match="overwrite_with_gradient"):
        v.overwrite_with_gradient = "yes"
    v.overwrite_with_gradient = True
    assert v.overwrite_with_gradient


def test_a_variable_shares_no_memory_with_arrays_of_its_maker():
    mine = np.zeros((3,), "float32")
    tensor = mlkit.ops.convert_to_tensor(mine)
    made = [
        mlkit.Variable(mine),
        mlkit.Variable(lambda shape, dtype: mine, shape=(3,)),
        mlkit.Variable(lambda shape, dtype: tensor, (3,)),
    ]
    add = mlkit.function(lambda: [v.assign_add(mlkit.ops.ones((3,))).value for v in made])
    add(), add()
    assert not mine.any()
    assert all((v.numpy() == 2).all() for v in made)
    mine[:] = 7
    assert all((v.numpy() == 2).all() for v in made)


def test_zeros_keep_their_sign_and_dtype():
    assert np.signbit(mlkit.ops.full((2,), -0.0).numpy()).all()
    assert mlkit.ops.zeros((2,), "bfloat16").dtype == "bfloat16"
    assert mlkit.ops.zeros((2,), "bool").numpy().dtype == bool


@pytest.mark.compiled("eager functions have no graph")
def test_a_first_value_of_a_graph_is_refused():
    @mlkit.function
    def made_inside(x):
        return mlkit.Variable(x * 2).value

    with pytest.raises(
        ValueError, match="first value is computed in the function that is being compiled.*Make the variable before"
    ):
        made_inside(np.ones(3, "float32"))


@pytest.mark.compiled("programs take variables' values out while they run")
@pytest.mark.native("other backends give NaN for such matrices")
def test_a_program_that_fails_gives_its_variables_back():
    """Whole, as they were or with their own update, as after ops one by one; other threads read them, and the next run goes on."""
    total, root = mlkit.Variable(np.zeros((64, 64), "float32")), mlkit.Variable(np.eye(3, dtype="float32"))

    @mlkit.function
    def step(x):
        total.assign_add(mlkit.ops.ones((64, 64)))
        root.assign(mlkit.ops.linalg.cholesky(x))

    good = np.eye(3, dtype="float32")
    step(good)
    with pytest.raises(ValueError, match="not positive definite"):
        step(-good)
    found = []
    reader = threading.Thread(target=lambda: found.append(total.numpy()))
    reader.start()
    reader.join(10)
    (value,) = {*found[0].flat}
    assert value in (1.0, 2.0)
    np.testing.assert_array_equal(root.numpy(), good)
    step(good)
    assert {*total.numpy().flat} == {value + 1}
