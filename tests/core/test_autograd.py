"""Tapes: what they follow, nesting, lifetime; grad, value_and_grad, custom_gradient."""

import gc

import numpy as np
import pytest

import mlkit
from mlkit import GradientTape, Variable, ops
from mlkit.core.autograd import vjp_of


def t(x):
    return ops.convert_to_tensor(x)


class TestTape:
    def test_watched_tensor(self):
        x = t([1.0, 2.0])
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(x * x * 3)
        assert tape.gradient(y, x).tolist() == [6, 12]

    def test_trainable_variables_are_watched_others_not(self):
        v, w = Variable(2.0), Variable(3.0, trainable=False)
        with GradientTape() as tape:
            y = v * w
        gv, gw = tape.gradient(y, [v, w])
        assert float(gv) == 3.0
        assert gw is None
        with GradientTape(watch_accessed_variables=False) as tape:
            y = v * w
        assert tape.gradient(y, v) is None
        with GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(w)
            y = v * w
        assert tape.gradient(y, [v, w])[0] is None

    def test_a_changed_trainable_counts_from_the_next_read(self):
        v = Variable(2.0)
        for trainable in (True, False, True):
            v.trainable = trainable
            with GradientTape() as tape:
                y = v * v
            assert (tape.gradient(y, v) is not None) == trainable

    def test_structures(self):
        x = {"a": t(1.0), "b": [t(2.0)]}
        with GradientTape() as tape:
            tape.watch(x)
            y = x["a"] * x["b"][0]
        g = tape.gradient(y, x)
        assert float(g["a"]) == 2.0
        assert float(g["b"][0]) == 1.0

    def test_several_targets_and_their_weights(self):
        x = t(2.0)
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            y, z = x * x, x * 3
        assert float(tape.gradient([y, z], x)) == 7.0
        assert float(tape.gradient([y, z], x, output_gradients=[t(1.0), t(10.0)])) == 34.0

    def test_unconnected(self):
        x, z = t(2.0), t([1.0, 1.0])
        with GradientTape(persistent=True) as tape:
            tape.watch([x, z])
            y = x * x
        assert tape.gradient(y, z) is None
        assert tape.gradient(y, z, unconnected_gradients="zero").tolist() == [0, 0]
        with pytest.raises(ValueError, match="unconnected_gradients"):
            tape.gradient(y, z, unconnected_gradients="one")

    def test_intermediate_tensor_as_source(self):
        x = t(3.0)
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
            z = y * y
        assert float(tape.gradient(z, y)) == 18.0
        assert float(tape.gradient(z, x)) == 108.0

    def test_target_is_source(self):
        x = t([1.0, 2.0])
        with GradientTape() as tape:
            tape.watch(x)
        assert tape.gradient(x, x).tolist() == [1, 1]

    def test_once_unless_persistent(self):
        x = t(1.0)
        with GradientTape() as tape:
            tape.watch(x)
            y = x * x
        tape.gradient(y, x)
        with pytest.raises(RuntimeError, match="persistent=True"):
            tape.gradient(y, x)

    def test_tape_sees_only_its_block_and_its_tensors(self):
        x = t(2.0)
        with GradientTape() as first:
            first.watch(x)
            y = x * x
        with GradientTape() as second:
            z = x * 3  # x is watched by the first tape, not by this one
        assert second.gradient(z, x) is None
        assert float(first.gradient(y, x)) == 4.0
        with GradientTape() as tape:
            tape.watch(x)
        assert tape.gradient(x * x, x) is None

    def test_stop_recording_and_reset(self):
        x = t(2.0)
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            with tape.stop_recording():
                y = x * x
            z = y + x
            assert float(tape.gradient(z, x)) == 1.0
            tape.reset()
            tape.watch(x)
            w = x * 5
        assert float(tape.gradient(w, x)) == 5.0
        assert tape.gradient(z, x) is None

    def test_misuse(self):
        with pytest.raises(TypeError, match="expected tensors or variables"):
            GradientTape().watch("x")
        with GradientTape() as tape, pytest.raises(RuntimeError, match="recording already"), tape:
            pass

    def test_tapes_survive_errors(self):
        from mlkit.core.interpreter import EAGER
        from mlkit.core.state import state

        with pytest.raises(ZeroDivisionError), GradientTape():
            raise ZeroDivisionError
        assert state.top is EAGER

    def test_stop_gradient(self):
        x = t(3.0)
        with GradientTape() as tape:
            tape.watch(x)
            y = x * ops.stop_gradient(x)
        assert float(tape.gradient(y, x)) == 3.0

    def test_op_of_several_outputs(self):
        x = t([[3.0, 1.0], [1.0, 2.0]])
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            values, _vectors = ops.linalg.eigh(x)
            y = ops.sum(values)
        np.testing.assert_allclose(tape.gradient(y, x), np.eye(2), atol=1e-6)


class TestHigherOrders:
    def test_nested(self):
        x = t(2.0)
        with GradientTape() as outer:
            outer.watch(x)
            with GradientTape() as inner:
                inner.watch(x)
                y = x * x * x
            slope = inner.gradient(y, x)
        assert float(slope) == 12.0
        assert float(outer.gradient(slope, x)) == 12.0

    def test_persistent_tape_differentiates_its_own_gradient(self):
        x = t(2.0)
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x * x
            slope = tape.gradient(y, x)
        assert float(tape.gradient(slope, x)) == 12.0

    def test_fourth(self):
        f = lambda x: x**5
        for _ in range(4):
            f = mlkit.grad(f)
        assert float(f(t(2.0))) == 240.0

    def test_mixed_variable_and_tensor(self):
        v, x = Variable(2.0), t(3.0)
        with GradientTape() as outer:
            with GradientTape() as inner:
                inner.watch(x)
                y = ops.sin(v * x)
            gx = inner.gradient(y, x)
        expected = np.cos(6.0) - 6.0 * np.sin(6.0)
        assert abs(float(outer.gradient(gx, v)) - expected) < 1e-5


class TestFunctions:
    def test_grad_of_structures_and_aux(self):
        f = lambda p, x: (ops.sum(p["w"] * x) + p["b"], "aux")
        g, aux = mlkit.grad(f, has_aux=True)({"w": t([1.0, 2.0]), "b": t(0.0)}, t([3.0, 4.0]))
        assert g["w"].tolist() == [3, 4]
        assert float(g["b"]) == 1.0
        assert aux == "aux"

    def test_several_arguments(self):
        value, (ga, gb) = mlkit.value_and_grad(lambda a, b: a * b, argnums=(0, 1))(t(2.0), t(5.0))
        assert (float(value), float(ga), float(gb)) == (10.0, 5.0, 2.0)

    def test_the_same_tensor_twice_is_two_places(self):
        x = t(3.0)
        ga, gb = mlkit.grad(lambda a, b: a * a * b, argnums=(0, 1))(x, x)
        assert float(ga) == 18.0
        assert float(gb) == 9.0
        assert [float(g) for g in vjp_of(lambda a, b: a * b, (x, x), t(1.0))] == [3.0, 3.0]

    def test_not_a_scalar(self):
        with pytest.raises(ValueError, match=r"must return a scalar, but returned shape \(2,\)"):
            mlkit.grad(lambda x: x * 2)(t([1.0, 2.0]))

    def test_custom_gradient(self):
        @mlkit.custom_gradient
        def f(x, y):
            return x * y, lambda g: (g * 10, g * 20)

        assert [float(g) for g in mlkit.grad(lambda x, y: f(x, y) * 2, argnums=(0, 1))(t(3.0), t(4.0))] == [20.0, 40.0]
        assert float(f(t(3.0), t(4.0))) == 12.0
        assert float(mlkit.function(mlkit.grad(lambda x: f(x, x)))(t(3.0))) == 30.0

    def test_custom_gradient_of_several_outputs(self):
        @mlkit.custom_gradient
        def f(x):
            return (x * 2, x * 3), lambda g, h: g + 100 * h

        def total(x):
            a, b = f(x)
            return a + b

        assert float(mlkit.grad(total)(t(1.0))) == 101.0


def test_traced_gradients_equal_eager_ones():
    v = Variable(np.linspace(-1, 1, 12).reshape(3, 4).astype("float32"))
    x = t(np.linspace(0, 1, 6).reshape(2, 3).astype("float32"))

    def f(x):
        with GradientTape() as outer:
            with GradientTape() as tape:
                y = ops.sum(ops.tanh(ops.matmul(x, v)) ** 2)
            g = tape.gradient(y, v)
            s = ops.sum(g * g)
        return g, outer.gradient(s, v)

    for a, b in zip(f(x), mlkit.function(f)(x)):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.native("functions that JAX has compiled are in cycles")
@pytest.mark.cpu("the double has objects of its own for each array")
def test_memory_is_flat_without_the_collector():
    """No reference cycles: what a step makes is gone when the step is."""
    v, kept = Variable(np.ones((8, 8), "float32")), []

    def step():
        with GradientTape() as outer:
            with GradientTape() as tape:
                y = ops.mean(ops.square(ops.relu(ops.matmul(v, v))))
            g = tape.gradient(y, v)
            s = ops.sum(g * g)
        v.assign_sub(0.001 * outer.gradient(s, v))
        kept.append(y)  # a loss that is kept must not keep its graph
        mlkit.grad(lambda x: ops.sum(x**3))(v.value)
        mlkit.function(lambda x: x * 2)(v.value)

    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            step()
        before = len(gc.get_objects())
        for _ in range(50):
            step()
        assert len(gc.get_objects()) - before <= 60  # the losses, and a few for Python
    finally:
        gc.enable()


def test_the_larger_of_a_number_and_nan_has_no_slope():
    x = ops.convert_to_tensor(np.array([np.nan, 2.0, 0.7, -1.0], "float32"))
    slope = mlkit.grad(lambda x: ops.sum(ops.maximum(x, np.float32(0.7))))(x)
    np.testing.assert_array_equal(slope.numpy(), [0, 1, 0.5, 0])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint64"])
def test_slices_taken_by_indices_of_any_integers(dtype):
    index = ops.convert_to_tensor(np.array([2, 0, 2]), dtype)
    slope = mlkit.grad(lambda x: ops.sum(ops.take(x, index, axis=0)))(ops.ones((3, 2)))
    np.testing.assert_array_equal(slope.numpy(), [[1, 1], [0, 0], [2, 2]])


@pytest.mark.parametrize("function", [lambda x: ops.prod(x, axis=1), lambda x: ops.cumprod(x, axis=1)[:, -1]])
def test_products_of_many_half_floats_have_slopes(function):
    """Partial products, 2e-8 here, leave the numbers of float16; the whole ones do not."""
    x = np.full((1, 20), 0.25)
    x[:, 10:] = 4.0
    x[:, 0] = 1.0
    slope = mlkit.grad(lambda x: ops.sum(function(x)))(ops.convert_to_tensor(x, "float16"))
    np.testing.assert_allclose(slope.numpy(), np.prod(x) / x, rtol=2e-3)


@pytest.mark.parametrize("name", ["prod", "cumprod", "cumsum", "sum", "nancumprod", "mean"])
@pytest.mark.parametrize("staged", [False, True])
def test_gradients_along_an_axis_without_elements_are_empty(name, staged):
    def slope(x):
        return mlkit.grad(lambda x: ops.sum(getattr(ops, name)(x, axis=1)))(x)

    with np.errstate(all="ignore"):
        found = (mlkit.function(slope) if staged else slope)(ops.ones((2, 0, 3)))
    assert found.shape == (2, 0, 3)
