"""What users override in layers and models is called, with what Keras calls it with, under either name of the library."""

import keras
import numpy as np
import pytest

import mlkit

LIBRARIES = [keras, mlkit]
X, Y = np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")
both = pytest.mark.parametrize("k", LIBRARIES, ids=["keras", "mlkit"])


@pytest.mark.parametrize("k, rank, padding", [  # Keras's Conv1D calls ops.conv itself
    (keras, 2, "valid"), (mlkit, 2, "valid"), (mlkit, 3, "same"), (mlkit, 1, "valid"), (mlkit, 1, "causal"),
])  # fmt: skip
def test_convolution_op(k, rank, padding):
    base = getattr(k.layers, f"Conv{rank}D")

    class Doubled(base):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, 2.0 * kernel)

    x = np.random.default_rng(0).normal(size=(2, *(6,) * rank, 3)).astype("float32")
    options = dict(filters=4, kernel_size=2, padding=padding, bias_initializer="zeros")
    plain, doubled = base(**options), Doubled(**options)
    plain(x), doubled(x)
    doubled.set_weights(plain.get_weights())
    np.testing.assert_allclose(k.ops.convert_to_numpy(doubled(x)), 2 * k.ops.convert_to_numpy(plain(x)), rtol=1e-5)


@both
@pytest.mark.parametrize("kind, name, arguments", [
    ("layers", "Layer", {}), ("layers", "Dense", {"units": 3}), ("losses", "Loss", {}), ("metrics", "Metric", {}),
    ("metrics", "Mean", {}), ("optimizers", "SGD", {"learning_rate": 0.5}), ("initializers", "Zeros", {}),
    ("regularizers", "L2", {}), ("constraints", "MaxNorm", {}),
])  # fmt: skip
def test_super_get_config_knows_the_base_only(k, kind, name, arguments):
    base = getattr(getattr(k, kind), name)

    class Mine(base):
        def __init__(self, helper=None, size=3, **kwargs):
            super().__init__(**kwargs)
            self.helper, self.size = helper, size

        def get_config(self):
            return dict(size=self.size, **super().get_config())  # a TypeError if the base writes `size` too

    class Inner(Mine):
        """One that adds nothing."""

    for cls in (Mine, Inner):
        mine, plain = cls(helper=object(), size=5, **arguments), base(**arguments)
        mine.name = plain.name = "same"
        config = mine.get_config()
        assert config.pop("size") == 5
        assert set(config) <= set(plain.get_config())
        assert cls.from_config({**config, "size": 7}).size == 7


def gan(k, built):
    class GAN(k.Model):
        def __init__(self):
            super().__init__()
            self.critic = k.Sequential([k.Input((4,)), k.layers.Dense(1)])
            self.seen = []
            self.built = built

        def train_step(self, data):
            self.seen.append(type(data))
            x = data[0] if isinstance(data, tuple) else data
            with k.GradientTape() as tape:
                loss = k.ops.mean(self.critic(x) ** 2)
            variables = self.critic.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    return GAN()


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("built", [False, True])
def test_train_step_without_call(built, eagerly):
    model = gan(mlkit, built)
    model.compile("sgd", run_eagerly=eagerly)
    losses = model.fit(X, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert model.train_on_batch(X) < losses[1]
    with pytest.raises((NotImplementedError, ValueError), match="no `call`"):
        model.predict(X, verbose=0)


def test_train_step_without_call_uses_compiled_losses_and_metrics():
    class Mine(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.part = mlkit.layers.Dense(1)

        def train_step(self, data):
            x, y = data
            with mlkit.GradientTape() as tape:
                y_pred = self.part(x)
                loss = self.compute_loss(x, y, y_pred)
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return self.compute_metrics(x, y, y_pred)

    model = Mine()
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert set(history) == {"loss", "mae"}
    assert history["mae"][1] < history["mae"][0]


def received(k, method, *given):
    """The kinds of data that a train_step gets in Keras on JAX, and here."""
    seen = []

    class Mine(k.Model):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(1)

        def call(self, x):
            x = k.ops.concatenate([*x.values()] if isinstance(x, dict) else x, -1) if isinstance(x, (list, tuple, dict)) else x
            return self.dense(x)

        def predict_step(self, *arguments):
            data = arguments[-1]
            seen.append(described(data))
            outputs = k.ops.ones((8, 1))
            return (outputs, arguments[0]) if k is keras else outputs

        def train_step(self, *arguments):  # (state, data) on JAX
            seen.append(described(arguments[-1]))
            return ({}, arguments[0]) if k is keras else {}

    model = Mine()
    model.compile("sgd", run_eagerly=True)
    getattr(model, method)(*given, verbose=0)
    return seen[-1]


def described(data):
    if isinstance(data, (list, tuple)):
        return tuple(map(described, data))
    return {key: described(v) for key, v in data.items()} if isinstance(data, dict) else tuple(data.shape)


@pytest.mark.parametrize("method", ["fit", "predict"])
@pytest.mark.parametrize("given", [(X,), ((X, X),), ({"a": X, "b": X},), (X, Y)], ids=["x", "two", "dict", "xy"])
def test_steps_get_what_keras_hands_them(method, given):
    given = given[:1] if method == "predict" else given
    assert received(mlkit, method, *given) == received(keras, method, *given)


@both
def test_loss_set_in_the_constructor_is_kept(k):
    class Mine(k.Model):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(1)
            self.loss = k.losses.MeanAbsoluteError()

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return self.loss(y, y_pred)

    model = Mine()
    model.compile("sgd")
    assert "loss" in model.fit(X, Y, verbose=0).history
    model.compile("sgd", loss="mse")
    assert model.loss == "mse"


@pytest.mark.parametrize("step", ["train_step", "test_step"])
def test_steps_for_the_jax_backend_are_called_that(step):
    cls = type("Mine", (mlkit.Sequential,), {step: lambda self, state, data: ({}, state)})
    model = cls([mlkit.Input((4,)), mlkit.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=rf"JAX backend(.|\n)*{step}\(self, data\)(.|\n)*GradientTape"):
        (model.fit if step == "train_step" else model.evaluate)(X, Y, verbose=0)


@both
def test_state_sizes(k):
    layers = k.layers
    assert [layers.RNN(cell(3)).state_size for cell in (layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell)] == [
        [3],
        [3],
        [3, 3],
    ]
    assert (layers.LSTM(2).state_size, layers.GRU(2).state_size, layers.LSTMCell(2).state_size) == ([2, 2], [2], [2, 2])

    class Wide(layers.SimpleRNNCell):
        def __init__(self, units, **kwargs):
            super().__init__(units, **kwargs)
            self.state_size = units

    assert layers.RNN([Wide(3), layers.LSTMCell(2)]).state_size == [3, [2, 2]]


def model_of(k, outputs):
    x = k.Input((4,))
    made = [k.layers.Dense(1, name=name)(x) for name in outputs]
    return k.Model(x, made if len(made) > 1 else made[0])


METRICS = {
    "none": {},
    "names": dict(metrics=["mae", "mse"]),
    "objects": lambda k: dict(metrics=[k.metrics.MeanSquaredError(name="first"), k.metrics.MeanSquaredError(name="first")]),
    "function": lambda k: dict(metrics=[k.losses.mean_absolute_error]),
    "weighted": dict(metrics=["mae", "mse"], weighted_metrics=["mae", "mae", "cosine_similarity"]),
    "accuracy": dict(metrics=["acc", "accuracy", "MAE"]),
}


@pytest.mark.parametrize("outputs", [["only"], ["late", "early"]])
@pytest.mark.parametrize("metrics", METRICS)
def test_names_of_logs_and_metrics(outputs, metrics):
    found, n = [], len(outputs)
    spread = lambda group: group if n == 1 else [group] * n
    for k in LIBRARIES:
        model, given = model_of(k, outputs), METRICS[metrics]
        given = {key: spread(value) for key, value in (given(k) if callable(given) else given).items()}
        if n > 1 and metrics == "objects":  # one object can serve one output
            given = {"metrics": [given["metrics"][0], []]}
        model.compile("sgd", "mse" if n == 1 else ["mse"] * n, run_eagerly=True, **given)
        before = list(model.metrics_names)
        history = model.fit(X, Y if n == 1 else [Y] * n, verbose=0).history
        results = model.evaluate(X, Y if n == 1 else [Y] * n, verbose=0, return_dict=True)
        found.append((before, list(model.metrics_names), set(history), list(results)))
    assert found[0][:3] == found[1][:3]
    assert set(found[0][3]) == set(found[1][3])


@both
def test_to_categorical_is_float64(k):
    assert k.utils.to_categorical([0, 2]).dtype == "float64"
    assert k.backend.standardize_dtype(k.utils.to_categorical(k.ops.array([0, 2]), 3).dtype) == "float32"


def test_loading_without_compiling_looks_at_no_compile_config(tmp_path):
    model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(1)])
    model.compile("sgd", lambda a, b: mlkit.ops.mean((a - b) ** 2))
    model.save(tmp_path / "model.keras")
    with pytest.raises(mlkit.saving.ModelFileError, match="<lambda>"):
        mlkit.saving.load_model(tmp_path / "model.keras")
    again = mlkit.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not again.compiled
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
