"""LossScaleOptimizer and MultiOptimizer."""

import pickle

import numpy as np
import pytest

from mlkit import optimizers
from mlkit.core.function import function
from mlkit.objects.variable import Variable
from mlkit.optimizers import SGD, Adam, LossScaleOptimizer, MultiOptimizer, OptimizerMap, RMSprop
from tests.optimizers.against_keras import keras

# within Keras, of its own variables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ONES = np.ones(2, "float32")


def stepper(optimizer, variables, traced):
    optimizer.build(variables)
    step = lambda *grads: optimizer.apply(list(grads))
    return function(step) if traced else step


@pytest.mark.parametrize("traced", [False, True])
class TestLossScale:
    def test_scale_follows_the_gradients(self, traced):
        v = Variable([1.0, 2.0])
        optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=4.0, dynamic_growth_steps=2)
        step = stepper(optimizer, [v], traced)
        trail = []
        for gradient in (1.0, 1.0, np.inf, 1.0, np.nan, 1.0, 1.0):
            scale = float(optimizer.scale_loss(1.0))
            step(np.float32([gradient * scale, 0]))
            trail.append((scale, float(v.numpy()[0])))
        assert trail == [(4, 0.5), (4, 0), (8, 0), (4, -0.5), (4, -0.5), (2, -1), (2, -1.5)]
        assert float(optimizer.scale_loss(1.0)) == 4
        assert int(optimizer.iterations) == 5

    def test_all_state_is_kept_when_a_gradient_overflows(self, traced):
        v = Variable([1.0, 2.0])
        optimizer = LossScaleOptimizer(Adam(0.5, use_ema=True))
        step = stepper(optimizer, [v], traced)
        step(ONES)
        before = [w.numpy() for w in [v, *optimizer.inner_optimizer.variables]]
        step(np.float32([np.nan, 1]))
        for w, old in zip([v, *optimizer.inner_optimizer.variables], before):
            np.testing.assert_array_equal(w.numpy(), old)

    def test_state_is_laid_out_as_in_keras(self, traced):
        v = Variable([1.0, 2.0], name="w")
        ours = LossScaleOptimizer(Adam(name="inner"), name="outer")
        theirs = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(name="inner"), name="outer")
        stepper(ours, [v], traced)(ONES)
        theirs.build([keras.Variable([1.0, 2.0], name="w")])
        assert [w.path for w in ours.variables] == [w.path for w in theirs.variables]
        assert [(w.shape, w.dtype) for w in ours.variables] == [(w.shape, w.dtype) for w in theirs.variables]


def test_loss_scale_options():
    optimizer = LossScaleOptimizer(SGD(0.5, momentum=0.25), initial_scale=8.0, name="outer")
    config = optimizer.get_config()
    theirs = keras.optimizers.LossScaleOptimizer.from_config({**config})
    assert config == {**theirs.get_config()}
    for again in (LossScaleOptimizer.from_config(config), pickle.loads(pickle.dumps(optimizer))):
        assert again.get_config() == config
    optimizer.learning_rate = 0.25
    assert float(optimizer.inner_optimizer.learning_rate) == 0.25
    assert float(optimizer.scale_loss(2.0)) == 16
    old = {**config, "weight_decay": None, "use_ema": False, "dynamic": True}
    assert LossScaleOptimizer.from_config(old).get_config() == config
    for options, message in (
        ({"dynamic": False}, "set `loss_scale_factor`"),
        ({"clipnorm": 1.0}, "`clipnorm`. Instead, set it on the `inner_optimizer`"),
        ({"foo": 1, "bar": 2}, "arguments: `foo`, `bar`"),
    ):
        with pytest.raises(ValueError, match=message):
            LossScaleOptimizer(SGD(), **options)
    with pytest.raises(ValueError, match="`inner_optimizer` must be an optimizer, but is 'sgd'"):
        LossScaleOptimizer("sgd")


def three_weights():
    return [Variable([1.0, 2.0], name=name) for name in ("first", "second", "other")]


def choice(**options):
    return OptimizerMap(SGD(0.5), {"fir.*": Adam(0.1), "second": RMSprop(0.1)}, **options)


class TestMultiOptimizer:
    @pytest.mark.parametrize("traced", [False, True])
    def test_each_weight_has_its_optimizer(self, traced):
        ours, alone = three_weights(), three_weights()
        optimizer = MultiOptimizer(choice(), loss_scale_factor=2.0)
        step = stepper(optimizer, ours, traced)
        single = [Adam(0.1), RMSprop(0.1), SGD(0.5)]
        for _ in range(3):
            step(2 * ONES, 2 * ONES, 2 * ONES)
            for o, v in zip(single, alone):
                o.apply([ONES], [v])
        for a, b in zip(ours, alone):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
        assert int(optimizer.iterations) == 3
        assert [type(o).__name__ for o in optimizer.optimizers] == ["Adam", "RMSprop", "SGD"]
        assert len(optimizer.variables) == 2 + sum(len(o.variables) for o in single)

    def test_a_function_chooses(self):
        sgd, adam = SGD(0.5), Adam()
        optimizer = MultiOptimizer(lambda v: adam if v.name == "first" else sgd)
        optimizer.apply([ONES] * 3, three_weights())
        assert optimizer.optimizers == [adam, sgd]

    def test_config(self):
        optimizer = MultiOptimizer(choice(), loss_scale_factor=2.0, name="several")
        again = optimizers.deserialize(optimizers.serialize(optimizer))
        assert again.get_config() == optimizer.get_config()
        assert keras.optimizers.deserialize(optimizers.serialize(optimizer)).get_config() == optimizer.get_config()
        again.build(three_weights())
        assert again.scale_loss(3.0) == 6.0

    def test_no_rate_of_its_own(self):
        optimizer = MultiOptimizer(choice())
        with pytest.raises(AttributeError, match="no learning rate of its own"):
            _ = optimizer.learning_rate
        with pytest.raises(AttributeError, match="cannot be set"):
            optimizer.learning_rate = 0.1

    def test_finalize(self):
        weights = three_weights()
        optimizer = MultiOptimizer(OptimizerMap(SGD(1.0, use_ema=True, ema_momentum=0.5), {"first": SGD(1.0)}))
        for _ in range(2):
            optimizer.apply([ONES] * 3, weights)
        optimizer.finalize_variable_values(weights)
        np.testing.assert_allclose([w.numpy()[0] for w in weights], [-1, -0.5, -0.5])

    def test_inside_loss_scaling(self):
        weights = three_weights()
        optimizer = LossScaleOptimizer(MultiOptimizer(choice()), initial_scale=2.0)
        optimizer.apply([2 * ONES] * 3, weights)
        np.testing.assert_allclose(weights[2].numpy(), [0.5, 1.5])


class TestOptimizerMap:
    def test_as_a_mapping(self):
        chosen = choice()
        assert len(chosen) == 2
        assert list(chosen) == ["fir.*", "second"]
        chosen["third"] = SGD()
        del chosen["second"]
        assert list(chosen) == ["fir.*", "third"]
        assert chosen["nothing"] is chosen.default_optimizer

    @pytest.mark.parametrize(
        "key, value, message",
        [
            ("second", SGD(), "'second' has"),
            (3, SGD(), "must be a string, but got 3"),
            ("third", "sgd", "must be an Optimizer, but is 'sgd'"),
            ("third", LossScaleOptimizer(SGD()), "LossScaleOptimizer, which cannot work inside a MultiOptimizer"),
            ("third", MultiOptimizer(OptimizerMap(SGD())), "MultiOptimizer, which cannot work inside"),
        ],
    )
    def test_bad_entries(self, key, value, message):
        with pytest.raises(ValueError, match=message):
            choice()[key] = value

    def test_ambiguous_path(self):
        chosen = OptimizerMap(SGD(), {".*kernel": SGD(), "dense/.*": SGD()})
        with pytest.raises(ValueError, match="Multiple optimizers assigned to variable 'dense/kernel'"):
            _ = chosen["dense/kernel"]

    def test_bad_arguments(self):
        with pytest.raises(TypeError, match="`default_optimizer`"):
            OptimizerMap("sgd")
        with pytest.raises(TypeError, match="`optimizer_map`"):
            OptimizerMap(SGD(), [SGD()])
