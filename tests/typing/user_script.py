"""What users write, for type checkers: they must know every name here and find nothing wrong (tests/typing/test_typing.py)."""

import numpy as np

import mlkit as keras
from mlkit import layers, ops
from mlkit.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from mlkit.layers import Dense, Layer

x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
y = np.arange(64) % 3


class Scale(Layer):
    """A layer with a weight of its own."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

    def call(self, inputs):
        return ops.relu(inputs * self.factor + self.start) / 2.0


def sequential():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(shape=(8,)), Dense(16, activation="relu"), Scale(), layers.Dropout(0.1), Dense(3)])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=keras.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(), "accuracy"],
    )
    history = model.fit(
        x, y, epochs=2, batch_size=16, verbose=0, validation_split=0.25,
        callbacks=[EarlyStopping(patience=1), ReduceLROnPlateau(), keras.callbacks.LambdaCallback()],
    )  # fmt: skip
    assert history.history["loss"][-1] > 0
    assert model.predict(x, verbose=0).shape == (64, 3)
    return model.evaluate(x, y, verbose=0, return_dict=True)["loss"]


def functional():
    inputs = keras.Input((8,))
    hidden = layers.LayerNormalization()(layers.Dense(8)(inputs))
    outputs = layers.Dense(1)(ops.concatenate([inputs, hidden * 2.0 - 1.0], axis=-1))
    model = keras.Model(inputs, outputs, name="two_ways")
    kernel = model.layers[-1].weights[0]
    assert kernel.shape == (16, 1)
    return keras.models.clone_model(model)


@keras.saving.register_keras_serializable()
class Half(Layer):
    def call(self, inputs):
        return inputs / 2.0


def recurrent():
    def batches():
        while True:
            yield x[:4, None], y[:4]

    lines: list[str] = []
    cell = layers.LSTM(4, "tanh", dtype=keras.dtype_policies.DTypePolicy("float32"), seed=1)
    model = keras.Sequential([cell, Half(name="half"), Dense(3)])
    model.compile(keras.optimizers.Adam(weight_decay=0.01, clipnorm=1.0), "sparse_categorical_crossentropy")
    history = model.fit(batches(), steps_per_epoch=2, verbose=0, callbacks=EarlyStopping("loss"))
    model.summary(print_fn=lines.append)
    assert model.get_layer("half").count_params() + 1 == len(history.epoch)
    return "".join(lines)


def train_step():
    layer = Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=0), kernel_regularizer=keras.regularizers.L2(1e-4))
    layer.build((None, 8))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    with keras.GradientTape() as tape:
        loss = ops.mean(keras.losses.sparse_categorical_crossentropy(y, layer(x), from_logits=True))
    gradients = tape.gradient(loss, layer.trainable_weights)
    optimizer.apply_gradients(zip(gradients, layer.trainable_weights))
    return float(loss)


def transforms():
    def square(t):
        return ops.sum(t**2) - t[0] @ ops.ones_like(t[0]) if len(t.shape) == 2 else ops.sum(t * t)

    t = ops.convert_to_tensor(x[:4])
    value, slope = keras.value_and_grad(square)(t)
    rows = keras.vmap(square)(t)
    compiled = keras.function(lambda a, b: ops.matmul(a, ops.transpose(b)) + 1)
    v = keras.Variable([1.0, 2.0], name="v")
    v.assign_add(ops.ones((2,)))
    total = 3 - v[0] + abs(-v[1])
    noise = keras.random.normal((2, 2), seed=keras.random.SeedGenerator(1))
    flipped = ops.image.resize(ops.nn.relu(ops.zeros((4, 4, 3))), (2, 2))
    singular = ops.linalg.svd(noise, compute_uv=False)
    counts, edges = ops.histogram(t[0], bins=[-9.0, 0.0, 9.0])
    mean, variance = ops.moments(ops.reshape(t, ops.shape(t)), axes=0)
    assert counts.shape == (2,)
    assert edges.shape == (3,)
    assert mean.shape == variance.shape == (8,)
    assert ops.full(np.int64(2), 1.0).shape == ops.unstack(ops.zeros((3, 2)))[0].shape == (2,)
    return value, slope, rows.numpy(), compiled(t, t).dtype, total.numpy(), flipped.shape, singular[0] > 0, ops.numpy.add(1, 2)


def save_and_load(folder):
    keras.config.set_floatx("float32")
    network = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=3)
    names = [w.path for w in network.trainable_weights][:2]
    model = keras.Sequential([keras.Input((8,)), Dense(2)])
    model.compile("sgd", keras.losses.MeanSquaredError())
    one_hot = keras.utils.to_categorical(y % 2)
    model.fit(x, one_hot, verbose=0, callbacks=[ModelCheckpoint(f"{folder}/best.keras", monitor="loss")])
    loaded = keras.saving.load_model(f"{folder}/best.keras")
    assert np.allclose(loaded.predict(x, verbose=0), model(x).numpy(), atol=1e-5)
    return names, keras.backend.backend(), keras.config.backend(), keras.__version__


if __name__ == "__main__":
    import tempfile

    print(sequential(), functional().count_params(), len(recurrent()), train_step(), transforms())
    with tempfile.TemporaryDirectory() as place:
        print(save_and_load(place))
