"""What is made of a function has the function's gradients, whatever the function uses and does."""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core.interpreter import EAGER
from mlkit.core.state import state

X = np.array([1.0, 2.0, 3.0], "float32")
MADE = {
    "function": mlkit.function,
    "remat": mlkit.remat,
    "function of remat": lambda f: mlkit.function(mlkit.remat(f)),
    "remat of function": lambda f: mlkit.remat(mlkit.function(f)),
    "remat of remat": lambda f: mlkit.remat(mlkit.remat(f)),
}


def uses_a_tensor(made, x, v):
    y = x * v
    return made(lambda a: a * y)(x)


def returns_a_tensor(made, x, v):
    y = x * v
    return made(lambda a: (a, y))(x)[1]


def uses_its_argument_from_outside(made, x, v):
    return made(lambda a: a * x * v)(x)


def uses_a_tensor_twice_differentiated(made, x, v):
    y = x * v
    return made(lambda a: mlkit.grad(lambda b: ops.sum(b * b * y))(a))(x)


def uses_a_part_of_a_tensor_pushed_forward(made, x, v):
    y = x * v
    return made(lambda a: mlkit.jvp(lambda b: b * b * y[0], (a,), (a * 2.0,))[1])(x)


def uses_a_tensor_with_a_custom_gradient(made, x, v):
    y = x * v
    twice = mlkit.custom_gradient(lambda a, b: (a * b, lambda g: (g * b, g * a * 7)))
    return made(lambda a: twice(a, y))(x)


def uses_a_tensor_in_a_scan(made, x, v):
    y = x * v
    return made(lambda a: ops.scan(lambda c, row: (c * row + y, c), a, a)[1])(x)


def assigns(made, x, v):
    def f(a):
        v.assign(v * 3.0 + 1.0)
        return a * v * v

    return made(f)(x)


def assigns_and_returns(made, x, v):
    def f(a):
        v.assign_add(ops.sum(a))
        return a, v

    a, w = made(f)(x)
    return a * w


def returns_a_variable(made, x, v):
    return made(lambda a: (v, a))(x)[0] * x


def has_a_variable_as_argument(made, x, v):
    def f(a, w):
        w.assign_add(1.0)
        return a * w

    return made(f)(x, v)


def passes_by_a_variable(made, x, v):
    other = mlkit.Variable(np.zeros(3, "float32"), trainable=False)

    def f(a):
        other.assign(a * v)
        return a * other

    return made(f)(x) + other


CASES = [
    uses_a_tensor,
    returns_a_tensor,
    uses_its_argument_from_outside,
    uses_a_tensor_twice_differentiated,
    uses_a_part_of_a_tensor_pushed_forward,
    uses_a_tensor_with_a_custom_gradient,
    uses_a_tensor_in_a_scan,
    assigns,
    assigns_and_returns,
    returns_a_variable,
    has_a_variable_as_argument,
    passes_by_a_variable,
]


def found(case, made, trainable=True, second=False):
    v, x = mlkit.Variable(2.0, trainable=trainable), ops.convert_to_tensor(X)
    with mlkit.GradientTape(persistent=True) as tape:
        tape.watch([x, v])
        y = ops.sum(ops.sin(case(made, x, v)))
        if second:
            y = ops.sum(tape.gradient(y, x) ** 2)
    gs = tape.gradient(y, [x, v], unconnected_gradients="zero")
    assert state.top is EAGER
    return [float(y), float(v), *(g.numpy() for g in gs)]


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_functions(case, made, trainable, second):
    wanted = found(case, lambda f: f, trainable, second)
    for a, b in zip(found(case, MADE[made], trainable, second), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_function_that_uses_other_tensors_of_the_tape_is_asked_anew_each_time():
    x = ops.convert_to_tensor(X)
    box = []
    f = mlkit.function(lambda a: ops.sum(a * box[0]))
    for k in (2.0, 5.0):
        with mlkit.GradientTape() as tape:
            tape.watch(x)
            box[:] = [x * k]
            y = f(x)
        np.testing.assert_allclose(tape.gradient(y, x), 2 * k * X)


def test_a_mapped_function_keeps_its_custom_gradient():
    odd = mlkit.custom_gradient(lambda a, w: (a * w, lambda g: (g * a * w * 10, g * a * a)))
    x = ops.convert_to_tensor(np.outer([1, 2], X).astype("float32"))
    w = ops.convert_to_tensor(X)

    def total(a, w):
        return ops.sum(mlkit.vmap(odd, in_axes=(0, None))(a, w) ** 2)

    def one_by_one(a, w):
        return sum(ops.sum(odd(a[i], w) ** 2) for i in range(2))

    def squares(fn):
        return lambda a, w: sum(ops.sum(g * g) for g in mlkit.grad(fn, (0, 1))(a, w))

    for fn, wanted in ((total, one_by_one), (squares(total), squares(one_by_one))):
        for a, b in zip(mlkit.grad(fn, (0, 1))(x, w), mlkit.grad(wanted, (0, 1))(x, w), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_custom_gradient_has_gradients_for_what_it_uses():
    cube = mlkit.custom_gradient(lambda a: (a**3, lambda g: g * 3 * a**2))
    second = mlkit.grad(mlkit.grad(lambda a: cube(a)))
    assert float(second(ops.convert_to_tensor(2.0))) == 12.0


def test_a_mapped_function_refuses_gradients_of_whole_numbers():
    x = ops.convert_to_tensor(X)

    def f(a):
        return ops.sum(ops.cast(mlkit.vmap(lambda r: mlkit.random.binomial((2,), 5.0, ops.sigmoid(r)))(a), "float32"))

    with pytest.raises(ValueError, match="stop_gradient"):
        mlkit.grad(f)(x)


def test_a_mapped_function_says_which_arguments_cannot_be_mapped():
    x = ops.convert_to_tensor(X)
    with pytest.raises(ValueError, match="argument is None. Give it the axis None"):
        mlkit.vmap(lambda a, b: a)(x, None)
    with pytest.raises(ValueError, match="keyword argument, bind it outside"):
        mlkit.vmap(lambda a, b: a * b)(x, b=3.0)
    assert mlkit.vmap(lambda a, b: a, in_axes=(0, None))(x, None).shape == (3,)
    assert state.top is EAGER


def test_a_mapped_function_may_return_none_where_only_specs_are_known():
    x = mlkit.KerasTensor((None, 3))
    out = ops.vectorized_map(lambda r: {"sum": ops.sum(r), "none": None}, x)
    assert out["sum"].shape == (None,)
    assert out["none"] is None
