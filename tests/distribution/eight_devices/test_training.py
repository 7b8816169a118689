"""Whatever the mesh: training, evaluation and prediction give what they give on one device."""

import functools

import jax
import numpy as np
import pytest

import mlkit
from mlkit import layers
from tests.distribution.eight_devices import nets


@pytest.fixture(autouse=True)
def _in_float64():
    mlkit.config.set_floatx("float64")
    mlkit.config.set_dtype_policy("float64")


def results(way, make, batch_size=16):
    mlkit.utils.clear_session()
    mlkit.utils.set_random_seed(1)
    mlkit.distribution.set_distribution(way and way(mlkit))
    model, (x, y) = make(), nets.data()
    history = model.fit(x, y, batch_size=batch_size, epochs=2, verbose=0, validation_split=0.25).history
    found = {
        **history,
        "evaluate": model.evaluate(x, y, batch_size=16, verbose=0),
        "predict": model.predict(x, batch_size=16, verbose=0),
    }
    return found, [v.numpy() for v in model.variables], model


alone_results = functools.cache(functools.partial(results, None))


def assert_same_as_alone(way, make):
    (alone, weights, _), (spread, parts, model) = alone_results(make), results(way, make)
    assert alone.keys() == spread.keys()
    for name, value in alone.items():
        np.testing.assert_allclose(spread[name], value, rtol=1e-6, atol=1e-7, err_msg=name)  # losses are float32
    for v, a, b in zip(model.variables, weights, parts):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12, err_msg=v.path)
    return model


def with_dropout():
    return nets.dense(mlkit, dropout=0.3)


@pytest.mark.parametrize(
    "way", [nets.on_one_axis, *(pytest.param(way, marks=pytest.mark.slow) for way in (nets.on_two_axes, nets.in_all_parts))]
)
def test_as_on_one_device(way):
    """The last batch of an epoch is one that eight devices cannot share."""
    model = assert_same_as_alone(way, with_dropout)
    kernel, momentum = model.get_layer("hidden").kernel, model.optimizer.slot(model.get_layer("hidden").kernel, "momentum")
    assert len(kernel.value.data.sharding.device_set) == 8
    assert momentum.value.data.sharding == kernel.value.data.sharding
    assert kernel.value.data.addressable_shards[0].data.size * (1, 4, 8)[nets.WAYS.index(way)] == 12 * 16


class TwoInputs(mlkit.Model):
    def __init__(self):
        super().__init__(name="own")
        self.embed, self.norm, self.head = layers.Embedding(8, 16), layers.LayerNormalization(), layers.Dense(nets.CLASSES)

    def call(self, x, training=False):
        codes = mlkit.ops.cast(mlkit.ops.abs(x[:, :4]) * 2, "int32") % 8
        return self.head(self.norm(mlkit.ops.mean(self.embed(codes), axis=1)))


class OwnStep(TwoInputs):
    def train_step(self, data):
        x, y = data
        with mlkit.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
        return {"loss": loss}


def compiled(model, optimizer="adam"):
    model.compile(optimizer, mlkit.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("make", [TwoInputs, OwnStep])
@pytest.mark.slow
def test_subclassed_models_and_steps_of_their_own(make):
    assert_same_as_alone(nets.in_all_parts, lambda: compiled(make()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "AdamW", "Adafactor", "Lion", "Lamb", "Muon"]
)
def test_each_optimizer(name):
    def make():
        model = nets.dense(mlkit)
        return compiled(model, getattr(mlkit.optimizers, name)(0.01, use_ema=name == "SGD"))

    assert_same_as_alone(nets.in_all_parts, make)


@pytest.mark.slow
def test_gradients_accumulated_and_clipped():
    options = dict(gradient_accumulation_steps=2, global_clipnorm=0.1, use_ema=True)
    assert_same_as_alone(nets.on_two_axes, lambda: compiled(nets.dense(mlkit), mlkit.optimizers.Adam(0.01, **options)))


@pytest.mark.slow
def test_metrics():
    """Counts, confusion matrices and means over the whole batch."""

    def results(way):
        mlkit.utils.clear_session()
        mlkit.utils.set_random_seed(1)
        mlkit.distribution.set_distribution(way and way(mlkit))
        model = mlkit.Sequential([mlkit.Input((12,)), layers.Dense(1, "sigmoid")])
        kinds = "AUC", "Precision", "R2Score", "BinaryAccuracy", "BinaryIoU", "SensitivityAtSpecificity", "MeanAbsoluteError"
        options = {"SensitivityAtSpecificity": {"specificity": 0.5}}
        metrics = [getattr(mlkit.metrics, k)(name=k, **options.get(k, {})) for k in kinds]
        model.compile("sgd", "mse", metrics=[*metrics, mlkit.metrics.F1Score(threshold=0.5)])
        x, y = nets.data()
        return model.evaluate(x, (y > 1).astype("float64")[:, None], batch_size=16, verbose=0, return_dict=True)

    alone, spread = results(None), results(nets.on_one_axis)
    assert len(alone) == 9
    for name, value in alone.items():
        np.testing.assert_allclose(spread[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.slow
def test_mixed_precision():
    def losses(way):
        mlkit.utils.clear_session()
        mlkit.utils.set_random_seed(1)
        mlkit.distribution.set_distribution(way and way(mlkit))
        x, y = nets.data(48, "float32")
        return nets.dense(mlkit).fit(x, y, batch_size=16, epochs=3, verbose=0).history["loss"]

    mlkit.config.set_floatx("float32")
    mlkit.config.set_dtype_policy("mixed_bfloat16")
    np.testing.assert_allclose(losses(nets.on_two_axes), losses(None), rtol=2e-2)


@pytest.mark.slow
def test_nothing_is_compiled_after_the_first_epoch():
    """What a step writes lies as what it reads."""
    compiled_programs = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled_programs.append(event) if "backend_compile" in event else None
    )
    for way in nets.WAYS:
        mlkit.distribution.set_distribution(way(mlkit))
        model, (x, y) = nets.dense(mlkit, dropout=0.3), nets.data(32)
        mlkit.random.normal((2,))  # the global generator follows the mesh
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        before = len(compiled_programs)
        assert before > 0
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        assert len(compiled_programs) == before


def test_random_numbers_are_those_of_one_device():
    """Whoever computes which of them; the mesh in force counts, not one that was."""
    draw = lambda: mlkit.random.normal((64, 33), seed=3)
    alone = mlkit.function(draw)().numpy()
    for way in nets.WAYS:
        with way(mlkit).scope():
            np.testing.assert_array_equal(mlkit.function(draw)().numpy(), alone)
            np.testing.assert_allclose(draw().numpy(), alone, rtol=1e-12)
    np.testing.assert_array_equal(mlkit.function(draw)().numpy(), alone)


@pytest.mark.slow
def test_eagerly_and_by_single_batches():
    mlkit.distribution.set_distribution(nets.on_two_axes(mlkit))
    (x, y), model = nets.data(16), nets.dense(mlkit)
    model.compile("sgd", mlkit.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    eager = [model.train_on_batch(x, y) for _ in range(2)]
    other = nets.dense(mlkit)
    mlkit.utils.set_random_seed(0)
    mlkit.utils.clear_session()
    other.compile("sgd", mlkit.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert other.predict_on_batch(x).shape == (16, nets.CLASSES)
    assert len(eager) == 2
    assert eager[1] < eager[0]


def test_a_batch_that_cannot_be_shared_is_warned_of_once():
    mlkit.distribution.set_distribution(mlkit.distribution.DataParallel())
    (x, y), model = nets.data(12), nets.dense(mlkit)
    with pytest.warns(UserWarning, match=r"6 samples cannot be cut into 8 equal parts.*88%") as said:
        model.fit(x, y, batch_size=6, epochs=2, verbose=0)
    assert len(said) == 1
