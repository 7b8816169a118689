"""Scripts about ways to train: losses, callbacks, several outputs, distillation, latent variables."""

import numpy as np

from tests.scripts.common import numbers, script, with_weights


def table(rows=60, columns=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype("float32")
    return x, (x[:, 0] * x[:, 1] + 0.5 * x[:, 2] > 0).astype("int32")


def perceptron(keras, units, activation=None, hidden=8, columns=6, seed=0):
    stack = [
        keras.Input((columns,)),
        keras.layers.Dense(hidden, activation="relu"),
        keras.layers.Dense(units, activation=activation),
    ]
    return with_weights(keras.Sequential(stack), seed)


@script
def distill(keras):
    """A student that learns a teacher's soft answers beside the labels."""
    x, y = table()
    teacher = perceptron(keras, 2, hidden=16)
    teacher.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    first = numbers(teacher.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0))
    soft = teacher.predict(x, verbose=0) / 3.0

    def loss(y_true, y_pred):
        logits, label = y_true[:, :2], keras.ops.cast(y_true[:, 2], "int32")
        hard = keras.ops.sparse_categorical_crossentropy(label, y_pred, from_logits=True)
        wanted, given = keras.ops.softmax(logits), keras.ops.log_softmax(y_pred / 3.0)
        return 0.3 * hard - 0.7 * keras.ops.sum(wanted * given, axis=-1)

    student = perceptron(keras, 2, hidden=4, seed=1)
    student.compile("adam", loss)
    target = np.concatenate([soft, y[:, None]], 1).astype("float32")
    return first + numbers(student.fit(x, target, batch_size=20, epochs=2, shuffle=False, verbose=0))


@script
def latent_variables(keras):
    """A variational autoencoder whose noise comes with the data."""
    x, _ = table()
    noise = np.random.default_rng(5).normal(size=(60, 2)).astype("float32")

    class Divergence(keras.layers.Layer):
        def call(self, inputs):
            mean, log_variance = inputs
            kl = -0.5 * keras.ops.sum(1 + log_variance - keras.ops.square(mean) - keras.ops.exp(log_variance), axis=1)
            self.add_loss(0.1 * keras.ops.mean(kl))
            return mean

    given, epsilon = keras.Input((6,)), keras.Input((2,))
    h = keras.layers.Dense(8, activation="tanh")(given)
    mean, log_variance = keras.layers.Dense(2)(h), keras.layers.Dense(2)(h)
    z = Divergence()([mean, log_variance]) + keras.ops.exp(0.5 * log_variance) * epsilon
    model = with_weights(keras.Model([given, epsilon], keras.layers.Dense(6)(keras.layers.Dense(8, activation="tanh")(z))))
    model.compile("adam", "mse")
    return numbers(model.fit([x, noise], x, batch_size=20, epochs=2, shuffle=False, verbose=0))


@script
def remove_noise(keras):
    """One step of a diffusion model: the network tells the noise from the noisy."""
    x, _ = table()
    rng = np.random.default_rng(6)
    noise, time = rng.normal(size=x.shape).astype("float32"), rng.uniform(0, 1, (60, 1)).astype("float32")
    noisy = np.cos(time * np.pi / 2) * x + np.sin(time * np.pi / 2) * noise
    inputs, when = keras.Input((6,)), keras.Input((1,))
    waves = keras.ops.concatenate([keras.ops.sin(when * k) for k in (1.0, 4.0, 16.0)], axis=-1)
    h = keras.layers.Dense(12, activation="swish")(keras.layers.Concatenate()([inputs, waves]))
    model = with_weights(keras.Model([inputs, when], keras.layers.Dense(6)(h)))
    model.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9), "mae")
    return numbers(model.fit([noisy, time], noise, batch_size=20, epochs=2, shuffle=False, verbose=0))


@script
def several_outputs(keras):
    x, y = table()
    inputs = keras.Input((6,), name="features")
    h = keras.layers.Dense(8, activation="elu", kernel_regularizer=keras.regularizers.L2(1e-3))(inputs)
    kind = keras.layers.Dense(1, activation="sigmoid", name="kind")(h)
    size = keras.layers.Dense(1, name="size")(h)
    model = with_weights(keras.Model(inputs, {"kind": kind, "size": size}))
    model.compile(
        "adam", loss={"kind": "binary_crossentropy", "size": "mse"}, loss_weights={"kind": 1.0, "size": 0.2},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )  # fmt: skip
    target = {"kind": y[:, None].astype("float32"), "size": x[:, :1] * 2}
    history = model.fit({"features": x}, target, batch_size=20, epochs=2, shuffle=False, validation_split=0.2, verbose=0)
    return [sorted(history.history), *numbers(history)]


@script
def rates_and_stops(keras):
    """Callbacks of the library and of one's own."""
    x, y = table()
    seen = []

    class Record(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([epoch, float(logs["loss"]), float(self.model.optimizer.learning_rate)])

    model = perceptron(keras, 1, "sigmoid")
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    used = [
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.01),
        keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True, min_delta=0.01),
        Record(),
    ]
    fit = dict(batch_size=15, epochs=8, shuffle=False, verbose=0, callbacks=used)
    model.fit(x, y.astype("float32"), validation_data=(x[:20], y[:20].astype("float32")), **fit)
    return [*seen, float(model.evaluate(x, y.astype("float32"), verbose=0))]


@script
def weigh_samples(keras):
    x, y = table()
    weights = np.linspace(0.1, 2.0, 60).astype("float32")
    results = []
    for options in ({"class_weight": {0: 1.0, 1: 3.0}}, {"sample_weight": weights}):
        model = perceptron(keras, 2, "softmax")
        model.compile("adagrad", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
        results += numbers(model.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0, **options))
    return results


@script
def parts_of_ones_own(keras):
    """A layer, a loss, a metric and an activation of one's own; the model is saved and loaded."""
    x, y = table()

    class Gated(keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, shape):
            self.value = self.add_weight(shape=(shape[-1], self.units), name="value")
            self.gate = self.add_weight(shape=(shape[-1], self.units), name="gate")

        def call(self, x):
            return keras.ops.matmul(x, self.value) * keras.ops.sigmoid(keras.ops.matmul(x, self.gate))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    class Right(keras.metrics.Metric):
        def __init__(self, name="right", **kwargs):
            super().__init__(name=name, **kwargs)
            self.count = self.add_variable((), "zeros", name="count")

        def update_state(self, y_true, y_pred, sample_weight=None):
            hit = keras.ops.equal(keras.ops.cast(y_pred > 0, "float32"), keras.ops.cast(y_true, "float32"))
            self.count.assign(self.count + keras.ops.sum(keras.ops.cast(hit, "float32")))

        def result(self):
            return self.count.value

    class Margin(keras.losses.Loss):
        def call(self, y_true, y_pred):
            sign = 2.0 * keras.ops.cast(y_true, "float32") - 1.0
            return keras.ops.mean(keras.ops.softplus(-sign * y_pred), axis=-1)

    model = with_weights(keras.Sequential([keras.Input((6,)), Gated(8), keras.layers.Dense(1)]))
    model.compile("adam", Margin(), metrics=[Right()])
    history = model.fit(x, y[:, None].astype("float32"), batch_size=20, epochs=2, shuffle=False, verbose=0)
    again = keras.Sequential.from_config(model.get_config(), custom_objects={"Gated": Gated})
    again.set_weights(model.get_weights())
    return [*numbers(history), again.predict(x[:3], verbose=0).tolist()]


@script
def cross_validation(keras):
    x, y = table()
    scores = []
    for k in range(3):
        test = np.arange(60) % 3 == k
        model = perceptron(keras, 1, "sigmoid", seed=k)
        model.compile("adamax", "binary_crossentropy", metrics=[keras.metrics.Precision(), keras.metrics.Recall()])
        model.fit(x[~test], y[~test], batch_size=20, epochs=2, shuffle=False, verbose=0)
        scores.append([float(v) for v in model.evaluate(x[test], y[test], batch_size=20, verbose=0)])
    return scores


@script
def constrained_weights(keras):
    x, _ = table()
    target = np.abs(x[:, :1]) + 0.5
    options = dict(kernel_constraint=keras.constraints.NonNeg(), bias_initializer="ones")
    stack = [keras.Input((6,)), keras.layers.Dense(8, activation="softplus", **options), keras.layers.Dense(1, **options)]
    model = with_weights(keras.Sequential(stack))
    model.compile(keras.optimizers.Lion(1e-2), "mean_squared_logarithmic_error")
    history = model.fit(x, target, batch_size=20, epochs=2, shuffle=False, verbose=0)
    return [*numbers(history), float(min(w.min() for w in model.get_weights()[::2]))]
