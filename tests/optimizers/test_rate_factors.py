"""Learning rates per weight: updates, weight decay, compiled steps, and the one-cycle schedule."""

import numpy as np
import pytest

import mlkit
from mlkit import Variable, layers, ops, optimizers

EVERY = [
    optimizers.SGD,
    optimizers.Adam,
    optimizers.AdamW,
    optimizers.Nadam,
    optimizers.RMSprop,
    optimizers.Lion,
    optimizers.Lamb,
]


def moved(optimizer, factors):
    """How far two equal weights go in two steps."""
    pair = [Variable([1.0, 2.0], name="a"), Variable([1.0, 2.0], name="b")]
    optimizer.rate_factors = None if factors is None else {pair[1]: factors}
    for _ in range(2):
        optimizer.apply_gradients([(ops.ones((2,)), v) for v in pair])
    return [v.numpy() - [1.0, 2.0] for v in pair]


@pytest.mark.parametrize("cls", EVERY)
def test_a_factor_is_a_learning_rate_of_its_own(cls):
    a, b = moved(cls(0.1), 0.25)
    assert np.allclose(a, moved(cls(0.1), None)[0]), "the other weight does as ever"
    assert np.allclose(b, moved(cls(0.025), None)[0], rtol=1e-5)


def test_factor_0_leaves_a_weight_alone_and_functions_are_asked():
    assert not moved(optimizers.Adam(0.1, weight_decay=0.1), 0.0)[1].any()
    sgd, w = optimizers.SGD(1.0), Variable([1.0], name="kernel")
    sgd.rate_factors = lambda v: 0.5 if v.name == "kernel" else 1.0
    sgd.apply_gradients([(ops.ones((1,)), w)])
    assert w.numpy() == 0.5


def test_compiled_steps_follow():
    model = mlkit.Sequential([mlkit.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
    model.fit(x, y, verbose=0)
    kernel, before = model.trainable_variables[0], model.get_weights()
    model.optimizer.rate_factors = {kernel: 0.0}
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    assert np.array_equal(after[0], before[0])
    assert not np.array_equal(after[1], before[1])


def test_wrappers():
    w, inner = Variable([1.0]), optimizers.SGD(1.0)
    scaled = optimizers.LossScaleOptimizer(inner, initial_scale=2.0)
    scaled.rate_factors = {w: 0.5}
    scaled.apply_gradients([(ops.convert_to_tensor([2.0]), w)])
    assert w.numpy() == 0.5
    assert inner.rate_factors == {w: 0.5}
    with pytest.raises(AttributeError, match="of its `optimizers`"):
        optimizers.MultiOptimizer(lambda v: inner).rate_factors = {w: 0.5}


@pytest.mark.parametrize("factor", [-1.0, "half", True, float("nan")])
def test_bad_factors(factor):
    with pytest.raises(ValueError, match="number >= 0"):
        optimizers.SGD().rate_factors = {Variable([1.0]): factor}
    with pytest.raises(TypeError, match="dict"):
        optimizers.SGD().rate_factors = [0.1]


class TestOneCycle:
    def test_its_course(self):
        cycle = optimizers.schedules.one_cycle(0.5, 200, warmup=0.25)
        rates = np.array([float(cycle(step)) for step in range(0, 260, 5)])
        assert rates.argmax() == 10
        assert rates.max() == pytest.approx(0.5)
        assert rates[0] == pytest.approx(0.02)
        assert (np.diff(rates[:11]) > 0).all()
        assert (np.diff(rates[10:41]) < 0).all()
        assert rates[40:] == pytest.approx(0.02 / 1e4)
        assert float(optimizers.schedules.one_cycle(0.5, 10, warmup=0)(0)) == pytest.approx(0.5)

    def test_it_trains_and_is_saved(self, tmp_path):
        model = mlkit.Sequential([mlkit.Input((2,)), layers.Dense(1)])
        model.compile(optimizers.SGD(optimizers.schedules.one_cycle(0.1, 10)), "mse")
        model.fit(np.ones((4, 2), "float32"), np.zeros((4, 1), "float32"), verbose=0)
        model.save(tmp_path / "m.keras")
        again = mlkit.models.load_model(tmp_path / "m.keras").optimizer
        assert float(again.learning_rate) == pytest.approx(float(model.optimizer.learning_rate))
        cycle = optimizers.schedules.one_cycle(0.1, 10)
        same = optimizers.schedules.deserialize(optimizers.schedules.serialize(cycle))
        assert same.get_config() == cycle.get_config()
        import keras

        theirs = keras.saving.load_model(tmp_path / "m.keras").optimizer
        assert float(theirs.learning_rate) == pytest.approx(float(again.learning_rate)), "Keras reads it too"

    @pytest.mark.parametrize("bad", [{"warmup": 1.0}, {"total_steps": 0}, {"div_factor": -1}])
    def test_bad_arguments(self, bad):
        with pytest.raises(ValueError, match=next(iter(bad))):
            optimizers.schedules.one_cycle(**{"max_learning_rate": 0.1, "total_steps": 10, **bad})
