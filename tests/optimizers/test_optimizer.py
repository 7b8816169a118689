"""What all optimizers share, beyond the numbers: options, learning rate, state, errors, optimizers of one's own."""

import copy
import pickle

import numpy as np
import pytest

from mlkit import ops, optimizers
from mlkit.core.function import function
from mlkit.objects.variable import Variable
from mlkit.optimizers import SGD, Adam, Optimizer, schedules


def weight(values=(1.0, 2.0), **options):
    return Variable(list(values), **options)


ONES = np.ones(2, "float32")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "Only one of"),
        ({"global_clipnorm": -1.0}, "`global_clipnorm` must not be negative"),
        ({"gradient_accumulation_steps": 1}, "must be an integer >= 2"),
        ({"use_ema": True, "ema_momentum": 1.5}, "in the range"),
        ({"use_ema": True, "ema_overwrite_frequency": 0.5}, "integer >= 1"),
        ({"learning_rate": 1}, "`learning_rate` must be a float"),
        ({"learning_rate": "fast"}, "but got 'fast'"),
        ({"lr": 0.1}, r"unknown arguments \['lr'\]"),
        ({"momentum": 2.0}, "`momentum` must be a float between 0 and 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SGD(**options)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: optimizers.AdamW(weight_decay=None), "must be a float"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "`learning_rate_power` needs to be negative or zero"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), "`l1_regularization_strength` needs to be positive"),
        (lambda: optimizers.Ftrl(initial_accumulator_value=-1.0), "`initial_accumulator_value` needs to be positive"),
        (lambda: optimizers.Lion(beta_1=0.0), "`beta_1` must be in"),
    ],
)
def test_bad_options_of_one_class(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_decay_is_refused_aloud():
    with pytest.warns(UserWarning, match="InverseTimeDecay"):
        SGD(decay=0.1)


def test_options_by_position():
    optimizer = Adam(0.5, 0.8, 0.9, 1e-3, True, 0.25, 2.0)
    config = optimizer.get_config()
    assert (config["amsgrad"], config["weight_decay"], config["clipnorm"]) == (True, 0.25, 2.0)


class TestGet:
    @pytest.mark.parametrize("name", ["SGD", "sgd", "rmsprop", "RMSprop", "adamw", "lamb", "ScheduleFreeAdamW", "adafactor"])
    def test_names(self, name):
        assert type(optimizers.get(name)).__name__.lower() == name.lower()

    def test_others(self):
        optimizer = Adam()
        assert optimizers.get(optimizer) is optimizer
        assert optimizers.get(None) is None
        assert type(optimizers.get(Adam)) is Adam
        short = optimizers.get({"class_name": "Adam", "config": {"learning_rate": 0.5}})
        assert float(short.learning_rate) == 0.5

    def test_unknown(self):
        with pytest.raises(ValueError, match="'adamm'. Did you mean 'adam'"):
            optimizers.get("adamm")
        with pytest.raises(ValueError, match="optimizer 3"):
            optimizers.get(3)


class TestLearningRate:
    def test_float_is_a_variable(self):
        optimizer = SGD(0.5)
        optimizer.learning_rate = 0.25
        assert float(optimizer.learning_rate) == 0.25
        assert optimizer.get_config()["learning_rate"] == 0.25

    def test_a_traced_step_sees_a_new_rate(self):
        v, optimizer = weight(), SGD(1.0)
        optimizer.build([v])
        step = function(lambda g: optimizer.apply([g]))
        step(ONES)
        optimizer.learning_rate = 0.5
        step(ONES)
        np.testing.assert_allclose(v.numpy(), [-0.5, 0.5])

    def test_float_to_schedule_and_not_back(self):
        optimizer = SGD(0.5)
        optimizer.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
        assert [v.name for v in optimizer.variables] == ["iteration"]
        optimizer.apply([ONES], [weight()])
        assert float(optimizer.learning_rate) == 0.5
        with pytest.raises(TypeError, match="cannot be set to 0.1"):
            optimizer.learning_rate = 0.1

    @pytest.mark.parametrize(
        "wrap", [lambda o: o, optimizers.LossScaleOptimizer, lambda o: optimizers.MultiOptimizer(lambda v: o)]
    )
    def test_a_changed_option_is_a_new_version(self, wrap):
        inner = SGD(1.0)
        optimizer = wrap(inner)
        optimizer.apply([ONES], [weight()])
        before = optimizer.version
        optimizer.apply([ONES])
        inner.learning_rate = 0.5  # a value in a Variable
        assert optimizer.version == before
        inner.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
        second = optimizer.version
        inner.weight_decay = 0.5
        assert before < second < optimizer.version

    def test_schedule_in_config(self):
        optimizer = SGD(schedules.CosineDecay(0.1, 100))
        again = SGD.from_config(optimizer.get_config())
        assert again.get_config() == optimizer.get_config()
        assert isinstance(again._learning_rate, schedules.CosineDecay)


class TestState:
    def test_grows_with_the_model(self):
        """Weights that become trainable later get state; those known before keep theirs, in the order of the new list."""
        a, b = weight(name="a"), weight(name="b")
        optimizer = SGD(0.1, momentum=0.9, use_ema=True)
        optimizer.apply([ONES], [b])
        velocity = optimizer.slot(b, "momentum").numpy()
        optimizer.build([a, b])
        names = [v.name for v in optimizer.variables]
        assert names == ["iteration", "learning_rate", "a_average", "b_average", "a_momentum", "b_momentum"]
        np.testing.assert_array_equal(optimizer.slot(b, "momentum").numpy(), velocity)
        np.testing.assert_array_equal(optimizer.slot(a, "momentum").numpy(), [0, 0])
        optimizer.build([b])  # fewer: nothing happens
        assert [v.name for v in optimizer.variables] == names
        optimizer.apply([ONES, ONES])

    def test_unknown_variable(self):
        optimizer = SGD()
        optimizer.build([weight()])
        with pytest.raises(ValueError, match="Unknown variable 'stranger'"):
            optimizer.apply([ONES], [weight(name="stranger")])

    def test_bad_gradients(self):
        v = weight()
        with pytest.raises(ValueError, match="must already be built"):
            SGD().apply([ONES])
        with pytest.raises(ValueError, match="2 gradients for 1 variables"):
            SGD().apply([ONES, ONES], [v])
        with pytest.raises(ValueError, match="No gradients provided"):
            SGD().apply_gradients([(None, v)])
        with pytest.raises(ValueError, match="No gradients provided"):
            SGD().apply_gradients([])
        np.testing.assert_array_equal(v.numpy(), [1, 2])

    @pytest.mark.parametrize("make", [SGD, Adam, optimizers.RMSprop, optimizers.Adagrad, optimizers.Lion])
    def test_gradients_of_another_shape(self, make):
        start, gradient = np.ones((3, 2), "float32"), np.array([[0.5], [-1.0], [2.0]], "float32")
        v, wide = Variable(start), Variable(start)
        for shape in ((2, 2), (3, 2, 1), (1, 3, 2), (2, 3)):
            with pytest.raises(
                ValueError, match=r"a gradient of shape .* does not broadcast to its variable .* of shape \(3, 2\)"
            ):
                make().apply([ops.ones(shape)], [v])
        np.testing.assert_array_equal(v, start)
        make().apply([gradient], [v])
        make().apply([np.repeat(gradient, 2, 1)], [wide])
        np.testing.assert_allclose(v, wide, rtol=1e-6)

    def test_set_weights(self):
        v, optimizer = weight(), Adam()
        with pytest.raises(ValueError, match=r"set_weights\(\)` on an optimizer that is not built"):
            optimizer.set_weights([])
        optimizer.apply([ONES], [v])
        other = Adam()
        other.build([v])
        other.set_weights(optimizer.variables)
        for a, b in zip(optimizer.variables, other.variables):
            np.testing.assert_array_equal(a.numpy(), b.numpy())

    def test_loading_what_does_not_fit(self):
        v, optimizer = weight(), Adam()
        optimizer.apply([ONES], [v])
        before = [w.numpy() for w in optimizer.variables]
        with pytest.warns(UserWarning, match="it has 4 variables, but 1 were saved"):
            optimizer.load_own_variables({"0": np.zeros(())})
        with pytest.raises(ValueError, match="has shape"):
            optimizer.load_own_variables({str(i): np.full((), 7.0) for i in range(4)})
        for w, old in zip(optimizer.variables, before):
            np.testing.assert_array_equal(w.numpy(), old)

    def test_stateless_apply(self):
        v, optimizer = weight(), SGD(0.5, momentum=0.5)
        optimizer.build([v])
        state = [np.asarray(w.numpy()) for w in optimizer.variables]
        for _ in range(2):
            (new,), state = optimizer.stateless_apply(state, [ONES], [np.float32([1, 2])])
        np.testing.assert_allclose(new.numpy(), [0.25, 1.25])
        np.testing.assert_array_equal(v.numpy(), [1, 2])
        assert int(optimizer.iterations) == 0
        assert int(state[0]) == 2
        with pytest.raises(ValueError, match="`optimizer_variables` must have 3 elements, but got 0"):
            optimizer.stateless_apply([], [ONES], [ONES])

    @pytest.mark.parametrize("clone", [lambda o: pickle.loads(pickle.dumps(o)), copy.deepcopy])
    def test_copies_have_the_config(self, clone):
        optimizer = Adam(schedules.ExponentialDecay(0.1, 10, 0.5), use_ema=True)
        optimizer.build([weight()])
        assert clone(optimizer).get_config() == optimizer.get_config()

    def test_names(self):
        assert Adam(name="mine").name == "mine"
        first, second = SGD(), SGD()
        assert first.name != second.name


class TestAverages:
    def test_finalize(self):
        v, optimizer = weight(), SGD(1.0, use_ema=True, ema_momentum=0.5)
        optimizer.build([v])
        optimizer.finalize_variable_values([v])
        np.testing.assert_array_equal(v.numpy(), [1, 2])  # no step yet: no average
        for _ in range(2):
            optimizer.apply([ONES])
        optimizer.finalize_variable_values([v])
        np.testing.assert_allclose(v.numpy(), [-0.5, 0.5])
        with pytest.raises(ValueError, match="keeps no moving average of 'stranger'"):
            optimizer.finalize_variable_values([weight(name="stranger")])

    def test_frozen_weights_stay(self):
        a, b = weight(), weight()
        optimizer = SGD(1.0, use_ema=True, ema_overwrite_frequency=1)
        optimizer.apply([ONES, ONES], [a, b])
        a.trainable = False
        a.assign([5.0, 5.0])
        optimizer.apply([ONES], [b])
        optimizer.finalize_variable_values([a, b])
        np.testing.assert_array_equal(a.numpy(), [5, 5])


def test_weight_decay_is_excluded_before_the_first_step_only():
    optimizer = SGD()
    optimizer.build([weight()])
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", ["sgd", "adam", "nadam", "adafactor", "lamb", "schedulefreeadamw"])
def test_other_dtypes(name, dtype):
    v = Variable([[1.0, 2.0], [3.0, 4.0]], dtype=dtype)
    optimizer = optimizers.get({"class_name": name, "config": {"learning_rate": 0.1, "gradient_accumulation_steps": 2}})
    for _ in range(4):
        optimizer.apply([np.ones((2, 2), "float32")], [v])
    assert v.value.dtype == dtype
    assert np.all(v.numpy().astype("float64") < [[1, 2], [3, 4]])


def test_one_op_for_each_variable():
    """What does not depend on the variable is computed once in a step."""
    variables = [Variable(np.ones(n, "float32")) for n in (3, 4, 5)]
    adam = optimizers.Adam()
    adam.build(variables)
    step = function(lambda *grads: adam.apply(grads, variables))
    names = [call.op.name for call in step.graph(*(np.ones(n, "float32") for n in (3, 4, 5))).calls]
    assert names.count("adam_update") == 3
    assert names.count("pow") == 2
    assert names.count("sqrt") == 1


class KerasStyle(Optimizer):
    """Written as Keras's documentation shows it."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums, self.seconds = self.add_optimizer_variables(variables, ["momentum", "second"])
        self.thirds = [self.add_variable_from_reference(v, name="third", initializer="ones") for v in variables]
        self.total = Variable(0.0, trainable=False)

    def update_step(self, gradient, variable, learning_rate):
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, ops.subtract(ops.multiply(m, ops.cast(self.momentum, m.dtype)), ops.multiply(gradient, learning_rate)))
        self.assign_add(variable, m)
        self.assign_add(self.total, 1.0)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


def test_keras_style_subclass():
    a, b = weight(name="a"), weight(name="b")
    optimizer, judge = KerasStyle(name="k"), SGD(0.1, momentum=0.9)
    for _ in range(3):
        optimizer.apply_gradients([(ONES, a)])
        judge.apply_gradients([(ONES, b)])
    np.testing.assert_allclose(a.numpy(), b.numpy())
    paths = [v.path for v in optimizer.variables]
    assert paths[:5] == ["k/iteration", "k/learning_rate", "k/a_momentum", "k/a_second", "k/a_third"]
    assert len(paths) == 6
    again = KerasStyle.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


def test_mistakes_in_subclasses():
    class Early(Optimizer):
        def __init__(self):
            self.momentum = 0.9
            super().__init__(0.1)

    with pytest.raises(RuntimeError, match=r"must call super\(\).__init__\(\)"):
        Early()
    with pytest.raises(NotImplementedError, match="must define update_step"):
        Optimizer(0.1).apply([ONES], [weight()])
    with pytest.raises(TypeError, match="layout"):
        SGD().add_variable((), layout="rows")
    with pytest.raises(ValueError, match="2 names"):
        SGD().add_optimizer_variables([], ["a", "b"], ["zeros"])
