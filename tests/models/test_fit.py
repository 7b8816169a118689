"""Training as users do it: data of all kinds, several inputs and outputs, own steps, freezing, precision, interruption."""

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.core.backend import backends


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 4)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")


def small_model():
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_history_has_training_and_validation_logs(data):
    history = small_model().fit(*data, epochs=3, validation_split=0.25, verbose=0).history
    assert sorted(history) == ["loss", "val_loss"]
    assert len(history["loss"]) == 3
    assert history["loss"][2] < history["loss"][0]


def test_eager_and_compiled_runs_give_the_same(data):
    losses = []
    for eager in (True, False):
        mlkit.utils.set_random_seed(1)
        model = small_model()
        model.compile("adam", "mse", run_eagerly=eager)
        losses.append(model.fit(*data, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_all_backends_train_the_same_model(data):
    losses = []
    for backend in backends():
        mlkit.config.set_backend(backend)
        mlkit.utils.set_random_seed(1)
        losses.append(small_model().fit(*data, epochs=2, shuffle=False, verbose=0).history["loss"])
    for other in losses[1:]:
        np.testing.assert_allclose(losses[0], other, rtol=1e-5)


def test_generator_of_batches(data):
    def endless():
        while True:
            yield data

    history = small_model().fit(endless(), steps_per_epoch=3, epochs=2, verbose=0, validation_data=data).history
    assert len(history["val_loss"]) == 2


def test_several_inputs_and_outputs(data):
    a, b = mlkit.Input((4,), name="a"), mlkit.Input((4,), name="b")
    shared = layers.Dense(3)
    joined = layers.Concatenate()([shared(a), shared(b)])
    outputs = [layers.Dense(1, name="number")(joined), layers.Dense(2, activation="softmax", name="kind")(joined)]
    model = mlkit.Model({"a": a, "b": b}, outputs)
    model.compile(
        "adam",
        {"number": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"number": 2.0, "kind": 1.0},
        metrics={"kind": ["accuracy"]},
    )
    x, y = data
    logs = model.train_on_batch({"a": x, "b": x}, [y, np.zeros(32, "int32")], return_dict=True)
    assert sorted(logs) == ["kind_accuracy", "kind_loss", "loss", "number_loss"]
    assert logs["loss"] == pytest.approx(2 * logs["number_loss"] + logs["kind_loss"], rel=1e-5)


@pytest.mark.parametrize("weights", [["accuracy"], "accuracy", {"dense": "2"}])
def test_weights_of_losses_are_numbers(weights):
    with pytest.raises(ValueError, match="`loss_weights` must be numbers, one for each output, but has '"):
        small_model().compile("adam", "mse", weights)


def test_own_train_step(data):
    class Model(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.tracker = mlkit.metrics.Mean(name="error")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with mlkit.GradientTape() as tape:
                loss = mlkit.ops.mean((self(x, training=True) - y) ** 2)
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            self.tracker.update_state(loss)
            return {"error": self.tracker.result()}

    model = Model()
    model.compile("sgd")
    error = model.fit(*data, epochs=3, verbose=0).history["error"]
    assert error[2] < error[0]


def test_freezing_takes_effect_at_the_next_step(data):
    model = small_model()
    first = model.layers[0]
    model.fit(*data, verbose=0)
    for trainable in (False, True):
        first.trainable = trainable
        before = first.get_weights()[0]
        model.fit(*data, verbose=0)
        assert np.array_equal(before, first.get_weights()[0]) is not trainable


def test_sample_and_class_weights(data):
    x, _ = data
    y = (np.arange(32) % 2).astype("float32")
    weights = np.where(y == 1, 3.0, 1.0).astype("float32")
    results = []
    for options in (dict(sample_weight=weights), dict(class_weight={0: 1.0, 1: 3.0})):
        mlkit.utils.set_random_seed(2)
        results.append(small_model().train_on_batch(x, y, **options))
    assert results[0] == pytest.approx(results[1], rel=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(policy, data):
    mlkit.config.set_dtype_policy(policy)
    try:
        model = small_model()
        loss = model.fit(*data, epochs=5, verbose=0).history["loss"]
        assert loss[-1] < loss[0]
        assert model.layers[0].kernel.numpy().dtype == "float32"
        assert (type(model.optimizer).__name__ == "LossScaleOptimizer") is (policy == "mixed_float16")
    finally:
        mlkit.config.set_dtype_policy("float32")


def test_interruption_leaves_a_usable_model(data):
    class Interrupt(mlkit.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    model = small_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, epochs=9, callbacks=[Interrupt()], verbose=0)
    assert 1 <= len(model.history.history["loss"]) <= 2
    assert model.predict(data[0], verbose=0).shape == (32, 1)


def test_predict_concatenates_batches(data):
    model = small_model()
    np.testing.assert_allclose(model.predict(data[0], batch_size=5, verbose=0), model(data[0]).numpy(), rtol=1e-5, atol=1e-6)


def test_steps_per_execution_groups_batches(data):
    seen = []

    class Note(mlkit.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    model = small_model()
    model.compile("sgd", "mse", steps_per_execution=3)
    model.fit(*data, batch_size=4, verbose=0, callbacks=[Note()])
    assert seen == [2, 5, 8]  # the last group is not full, and is counted as if it were


def test_function_fetches_any_part(data):
    model = small_model()
    part = mlkit.Function(model.inputs[0], model.layers[0].output)
    np.testing.assert_allclose(part(data[0]).numpy(), model.layers[0](data[0]).numpy(), rtol=1e-6)


def test_nested_and_cloned_models():
    inner = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(3)])
    i = mlkit.Input((4,))
    outer = mlkit.Model(i, layers.Dense(1)(inner(i)))
    copy = mlkit.models.clone_model(outer)
    assert copy.count_params() == outer.count_params() == 19
    copy.set_weights(outer.get_weights())
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(copy(x).numpy(), outer(x).numpy(), rtol=1e-6)


def test_summary_names_layers_and_totals():
    lines = []
    small_model().summary(print_fn=lines.append)
    assert "Dense" in lines[0]
    assert "Total params: 19 (76.00 B)" in lines[0]


def test_options_of_the_optimizer_take_effect_at_the_next_step(data):
    model = small_model()
    model.compile(mlkit.optimizers.SGD(0.1, momentum=0.0), "mse")
    model.train_on_batch(*data)
    version = model.optimizer.version
    model.train_on_batch(*data)
    assert model.optimizer.version == version, "steps change no option"
    model.optimizer.clipvalue = 1e-20
    assert model.optimizer.version > version
    before = model.get_weights()
    model.train_on_batch(*data)
    assert all(map(np.array_equal, before, model.get_weights())), "gradients are clipped to next to nothing"
    model.optimizer.clipvalue = None
    model.optimizer.learning_rate = 0.05  # a variable: the compiled step reads it
    model.train_on_batch(*data)
    assert not any(map(np.array_equal, before, model.get_weights()))


def test_thawed_batch_normalization_counts_at_the_next_step(data):
    norm = layers.BatchNormalization()
    model = mlkit.Sequential([mlkit.Input((4,)), norm, layers.Dense(1)])
    norm.trainable = False
    model.compile("sgd", "mse")
    for trainable in (False, True, False):
        norm.trainable = trainable
        before = [v.numpy() for v in norm.weights]
        model.train_on_batch(*data)
        changed = [not np.array_equal(b, v.numpy()) for b, v in zip(before, norm.weights)]
        assert changed == [trainable] * 4, "gamma, beta, moving mean and variance"


@pytest.mark.parametrize("size, expected", [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 5]), (8, [7])])
def test_groups_of_steps_from_data_of_unknown_length(size, expected, data):
    def five():
        for i in range(5):
            yield data[0][6 * i : 6 * i + 6], data[1][6 * i : 6 * i + 6]

    numbers = []
    model = small_model()
    model.compile("sgd", "mse", steps_per_execution=size)
    model.fit(
        five(), verbose=0, callbacks=[mlkit.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: numbers.append(b))]
    )
    assert numbers == expected
    assert model.optimizer.iterations.numpy() == 5


class OfBags(mlkit.Model):
    """The mean of each bag of inputs: `segments` says in which of two bags a row lies."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, inputs):
        x, segments = inputs
        return self.dense(mlkit.ops.segment_sum(x, segments, num_segments=2))


def test_inputs_of_a_generator_may_have_other_lengths_than_targets():
    """As nodes of graphs, with the targets of graphs."""
    rng = np.random.default_rng(0)
    steps = [
        ((rng.normal(size=(n, 4)).astype("float32"), np.array([0] * (n - 1) + [1])), np.ones((2, 1), "float32"))
        for n in (3, 5, 3)
    ]
    model = OfBags()
    model.compile("sgd", "mse")
    losses = model.fit((step for _ in range(20) for step in steps), steps_per_epoch=3, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.predict((step[:1] for step in steps), verbose=0).shape == (6, 1)
    np.testing.assert_allclose(
        model.evaluate(iter(steps), verbose=0),
        np.average([((model(x).numpy() - y) ** 2).mean() for x, y in steps], weights=[3, 5, 3]),
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match="They differ in the number of samples"):
        small_model().fit(iter([(np.zeros((4, 4)), np.zeros((3, 1)))]), verbose=0)
