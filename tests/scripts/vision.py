"""Scripts on pictures."""

import numpy as np

from tests.scripts.common import numbers, pictures, script, with_weights


@script
def classify_pictures(keras):
    x, y = pictures()
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(8, 3, activation="relu", padding="same"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    with_weights(model)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return numbers(model.fit(x, y, batch_size=16, epochs=3, shuffle=False, validation_split=0.25, verbose=0))


@script
def residual_network(keras):
    x, y = pictures(seed=1)

    def block(h, filters):
        shortcut = keras.layers.Conv2D(filters, 1)(h)
        h = keras.layers.BatchNormalization()(keras.layers.SeparableConv2D(filters, 3, padding="same")(h))
        return keras.layers.ReLU()(keras.layers.add([h, shortcut]))

    inputs = keras.Input((12, 12, 1))
    h = block(block(inputs, 4), 8)
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(h)))
    model = with_weights(keras.Model(inputs, outputs))
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return numbers(model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0))


@script
def segment_pictures(keras):
    x, _ = pictures(seed=2)
    masks = (x > 0.5).astype("float32")
    inputs = keras.Input((12, 12, 1))
    down = keras.layers.Conv2D(6, 3, activation="relu", padding="same")(inputs)
    low = keras.layers.Conv2D(12, 3, strides=2, activation="relu", padding="same")(down)
    up = keras.layers.Conv2DTranspose(6, 3, strides=2, activation="relu", padding="same")(low)
    outputs = keras.layers.Conv2D(1, 1, activation="sigmoid")(keras.layers.concatenate([down, up]))
    model = with_weights(keras.Model(inputs, outputs))
    model.compile("rmsprop", keras.losses.Dice(), metrics=[keras.metrics.BinaryIoU(target_class_ids=[1])])
    return numbers(model.fit(x, masks, batch_size=16, epochs=2, shuffle=False, verbose=0))


@script
def clean_pictures(keras):
    """A denoising autoencoder."""
    clean, _ = pictures(seed=3)
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype("float32")
    encoder = keras.Sequential(
        [keras.Input((12, 12, 1)), keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")]
    )
    decoder = keras.Sequential(
        [keras.Input((6, 6, 8)), keras.layers.UpSampling2D(), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")]
    )
    inputs = keras.Input((12, 12, 1))
    model = with_weights(keras.Model(inputs, decoder(encoder(inputs))))
    model.compile("adam", "binary_crossentropy")
    return numbers(model.fit(noisy, clean, batch_size=16, epochs=2, shuffle=False, verbose=0))


@script
def enlarge_pictures(keras):
    """Sub-pixel upscaling: channels become pixels."""
    large, _ = pictures(seed=4)
    small = large[:, ::2, ::2]

    class DepthToSpace(keras.layers.Layer):
        def call(self, x):
            _, height, width, channels = x.shape
            x = keras.ops.reshape(x, (-1, height, width, 2, 2, channels // 4))
            return keras.ops.reshape(keras.ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 2 * height, 2 * width, channels // 4))

    inputs = keras.Input((6, 6, 1))
    h = keras.layers.Conv2D(8, 3, padding="same", activation="tanh")(inputs)
    outputs = DepthToSpace()(keras.layers.Conv2D(4, 3, padding="same")(h))
    model = with_weights(keras.Model(inputs, outputs))
    model.compile(keras.optimizers.Adam(3e-3), "mse", metrics=["mae"])
    return numbers(model.fit(small, large, batch_size=16, epochs=2, shuffle=False, verbose=0))


@script
def transfer_learning(keras):
    """A frozen body, then a head, then all of it at a low rate."""
    x, y = pictures(seed=5)
    body = keras.Sequential(
        [keras.Input((12, 12, 1)), keras.layers.Conv2D(8, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()],
        name="body",
    )
    body.trainable = False
    inputs = keras.Input((12, 12, 1))
    h = keras.layers.GlobalMaxPooling2D()(body(inputs, training=False))
    model = with_weights(keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(h)))
    model.compile("adam", "sparse_categorical_crossentropy")
    first = numbers(model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0))
    body.trainable = True
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    return first + numbers(model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0))


@script
def same_or_different(keras):
    """A siamese network with a contrastive loss."""
    x, y = pictures(seed=6)
    pairs, same = (x[::2], x[1::2]), (y[::2] == y[1::2]).astype("float32")
    tower = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(8, activation="tanh")])
    a, b = keras.Input((12, 12, 1)), keras.Input((12, 12, 1))

    def distance(towers):
        gap = keras.ops.sum(keras.ops.square(towers[0] - towers[1]), axis=1, keepdims=True)
        return keras.ops.sqrt(keras.ops.maximum(gap, 1e-7))

    def contrastive(y_true, y_pred):
        apart = keras.ops.square(keras.ops.maximum(1.0 - y_pred, 0.0))
        return keras.ops.mean(y_true * keras.ops.square(y_pred) + (1.0 - y_true) * apart)

    model = keras.Model([a, b], keras.layers.Lambda(distance, output_shape=(1,))([tower(a), tower(b)]))
    with_weights(model)
    model.compile("rmsprop", contrastive)
    history = model.fit(list(pairs), same[:, None], batch_size=8, epochs=3, shuffle=False, verbose=0)
    return [*numbers(history), model.predict([p[:3] for p in pairs], verbose=0).tolist()]


@script
def forge_pictures(keras):
    """A GAN of two compiled models, trained in turn."""
    real, _ = pictures(count=24, seed=7)
    rng = np.random.default_rng(0)
    judge = keras.Sequential(
        [keras.Input((12, 12, 1)), keras.layers.Conv2D(6, 4, strides=2), keras.layers.LeakyReLU(0.2), keras.layers.Flatten()]
        + [keras.layers.Dense(1, activation="sigmoid")]
    )
    forger = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(36, activation="relu"), keras.layers.Reshape((6, 6, 1))]
        + [keras.layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")]
    )
    with_weights(judge)
    with_weights(forger, 1)
    judge.compile(keras.optimizers.Adam(1e-3, beta_1=0.5), "binary_crossentropy")
    judge.trainable = False
    both = keras.Sequential([keras.Input((5,)), forger, judge])
    both.compile(keras.optimizers.Adam(1e-3, beta_1=0.5), "binary_crossentropy")
    judge.trainable = True
    losses = []
    for _ in range(3):
        noise = rng.normal(size=(24, 5)).astype("float32")
        forged = forger.predict(noise, verbose=0)
        judged = judge.train_on_batch(np.concatenate([real, forged]), np.r_[np.ones((24, 1)), np.zeros((24, 1))])
        judge.trainable = False
        losses.append([float(judged), float(both.train_on_batch(noise, np.ones((24, 1))))])
        judge.trainable = True
    return losses
