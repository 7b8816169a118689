"""Gradients through random samples: by implicit reparametrization where they exist, refused in words where they do not."""

import numpy as np
import pytest
from scipy import special

import mlkit
from mlkit import ops, random
from mlkit.core.backend import backends, using

ALPHAS = (0.02, 0.3, 0.9, 1.0, 1.5, 4.0, 30.0, 1e3, 1e6)


def slopes(draw, *arguments):
    """(samples, gradient of their sum with respect to each argument)."""
    arguments = [ops.convert_to_tensor(np.asarray(a, "float32")) for a in arguments]
    with mlkit.GradientTape() as tape:
        tape.watch(arguments)
        x = draw(*arguments)
        total = ops.sum(x)
    return [t.numpy() for t in (x, *tape.gradient(total, arguments))]


def gamma_slopes():
    alpha = np.repeat(np.float32(ALPHAS), 200)
    return alpha, *slopes(lambda a: random.gamma(a.shape, a, seed=3), alpha)


def test_gamma_keeps_the_quantile():
    """Moving alpha by a little and the samples by their slopes changes the distribution function by nothing."""
    alpha, x, slope = (v.astype("float64") for v in gamma_slopes())
    seen = (x > 1e-30) & (abs(alpha - 1e6) > 1)  # the numerical derivative fails at the ends
    alpha, x, slope = alpha[seen], x[seen], slope[seen]
    h = 1e-5 * alpha
    moved = special.gammainc(alpha + h, x) - special.gammainc(alpha - h, x)
    density = np.exp((alpha - 1) * np.log(x) - x - special.gammaln(alpha))
    np.testing.assert_allclose(slope, -moved / (2 * h) / density, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("backend, compiled", [("native", False), *((name, True) for name in backends())])
def test_gamma_has_the_gradient_of_jax(backend, compiled):
    import jax

    alpha = np.repeat(np.float32(ALPHAS), 50)
    draw = lambda a: random.gamma(a.shape, a, seed=3)
    with using(backend):
        if compiled:
            grad = mlkit.function(mlkit.grad(lambda a: ops.sum(draw(a))))
            x, slope = mlkit.function(draw)(alpha).numpy(), grad(ops.convert_to_tensor(alpha)).numpy()
        else:
            x, slope = slopes(draw, alpha)
    with jax.enable_x64(True):
        wanted = np.asarray(jax.lax.random_gamma_grad(alpha.astype("float64"), np.maximum(x.astype("float64"), 1e-300)))
    np.testing.assert_allclose(slope, wanted, rtol=2e-5, atol=1e-30)


def test_beta_moves_as_its_mean_does():
    """d/da of a / (a + b) is b / (a + b)^2."""
    a, b, n = 2.0, 3.0, 40000
    _, by_a, by_b = slopes(lambda a, b: random.beta((n,), a, b, seed=1), a, b)
    assert by_a / n == pytest.approx(b / (a + b) ** 2, rel=0.02)
    assert by_b / n == pytest.approx(-a / (a + b) ** 2, rel=0.02)


def test_arguments_are_broadcast_and_variables_too():
    alpha = mlkit.Variable(np.array([[2.0], [5.0]], "float32"))
    with mlkit.GradientTape() as tape:
        total = ops.sum(random.gamma((3, 2, 50), alpha, seed=1) * 2.0)
    slope = tape.gradient(total, alpha)
    assert slope.shape == (2, 1)
    np.testing.assert_allclose(slope.numpy(), 300, rtol=0.1)


def test_second_derivative():
    """Against the second difference of the quantile function."""

    def slope(a):
        return mlkit.grad(lambda a: ops.sum(random.gamma((64,), a, seed=5)))(a)

    a, h = 3.0, 1e-2
    second = float(mlkit.grad(slope)(ops.convert_to_tensor(a)))
    level = special.gammainc(a, random.gamma((64,), a, seed=5).numpy().astype("float64"))
    low, mid, high = (special.gammaincinv(at, level).sum() for at in (a - h, a, a + h))
    assert second == pytest.approx((high - 2 * mid + low) / h**2, rel=1e-2)


@pytest.mark.parametrize("shape", [(), (0,), (3,)])
def test_shapes(shape):
    x, slope = slopes(lambda a: random.gamma(shape, a, seed=2), 2.0)
    assert x.shape == shape
    assert slope.shape == ()


REFUSED = {
    "binomial of probabilities": lambda p: random.binomial((5,), 10, p, seed=1),
    "binomial of counts": lambda p: random.binomial((5,), p * 10, 0.7, seed=1),
    "categorical": lambda p: random.categorical(ops.reshape(ops.stack([p, 1 - p]), (1, 2)), 5, seed=1),
    "categorical in float32": lambda p: random.categorical(ops.reshape(ops.stack([p, 1 - p]), (1, 2)), 5, "float32", seed=1),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_no_silent_none(name, compiled):
    def step():
        p = ops.convert_to_tensor(0.3)
        with mlkit.GradientTape() as tape:
            tape.watch(p)
            x = REFUSED[name](p)
        return tape.gradient(x, p)

    with pytest.raises(ValueError, match=f"random.{name.split()[0]}: a gradient .*stop_gradient"):
        (mlkit.function(step) if compiled else step)()


def test_stopped_samples_leave_the_other_ways_open():
    def loss(p):
        k = ops.stop_gradient(random.binomial((100,), 10, p, seed=1))
        return -ops.sum(k * ops.log(p) + (10 - k) * ops.log(1 - p))

    assert np.isfinite(float(mlkit.grad(loss)(0.3)))
