"""Scripts on text, series and other sequences."""

import numpy as np

from tests.scripts.common import numbers, script, with_weights

SENTENCES = [
    "the film was a joy", "a dull and slow film", "what a joy to watch", "slow dull plot", "the plot was good",
    "a waste of time", "good acting and a good plot", "the worst film of the year", "watch it with joy", "no joy at all",
    "dull acting", "a good year of film",
]  # fmt: skip
KIND = np.array([1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1], "float32")


def words(rows=48, length=8, vocabulary=20, seed=0):
    """Word numbers; those of the end are 0, where sentences are shorter."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, vocabulary, (rows, length))
    for row, n in zip(x, rng.integers(3, length + 1, rows)):
        row[n:] = 0
    return x


@script
def opinion_of_sentences(keras):
    known = sorted({word for sentence in SENTENCES for word in sentence.split()})
    rows = [[1 + known.index(word) for word in sentence.split()] for sentence in SENTENCES]
    x = keras.utils.pad_sequences(rows, maxlen=7, padding="post")
    model = keras.Sequential(
        [keras.Input((7,)), keras.layers.Embedding(40, 6, mask_zero=True), keras.layers.Bidirectional(keras.layers.LSTM(5))]
        + [keras.layers.Dense(1, activation="sigmoid")]
    )
    with_weights(model)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
    return numbers(model.fit(x, KIND, batch_size=4, epochs=3, shuffle=False, verbose=0))


@script
def next_letters(keras):
    text = "a rose is a rose is a rose, said she; " * 8
    letters = sorted(set(text))
    codes = np.array([letters.index(c) for c in text])
    x = np.stack([codes[i : i + 10] for i in range(0, 200, 5)])
    y = np.stack([codes[i + 1 : i + 11] for i in range(0, 200, 5)])
    model = keras.Sequential(
        [keras.Input((10,)), keras.layers.Embedding(len(letters), 8), keras.layers.GRU(12, return_sequences=True)]
        + [keras.layers.Dense(len(letters))]
    )
    with_weights(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss, metrics=["sparse_categorical_accuracy"])
    return numbers(model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0))


@script
def translate(keras):
    """A small transformer: encoder, decoder with a causal mask, teacher forcing."""
    source, target = words(seed=1), words(seed=2, length=9)

    def feed(h, width=16):
        inner = keras.layers.Dense(width, activation="relu")(h)
        return keras.layers.LayerNormalization()(h + keras.layers.Dense(h.shape[-1])(inner))

    given, wanted = keras.Input((8,)), keras.Input((8,))
    h = keras.layers.Embedding(20, 12, mask_zero=True)(given)
    h = feed(keras.layers.LayerNormalization()(h + keras.layers.MultiHeadAttention(2, 6)(h, h)))
    d = keras.layers.Embedding(20, 12, mask_zero=True)(wanted)
    d = keras.layers.LayerNormalization()(d + keras.layers.MultiHeadAttention(2, 6)(d, d, use_causal_mask=True))
    d = feed(keras.layers.LayerNormalization()(d + keras.layers.MultiHeadAttention(2, 6)(d, h)))
    model = with_weights(keras.Model([given, wanted], keras.layers.Dense(20)(d)))
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=3e-3, warmup_steps=4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.AdamW(schedule, clipnorm=1.0), loss)
    return numbers(model.fit([source, target[:, :-1]], target[:, 1:], batch_size=12, epochs=2, shuffle=False, verbose=0))


@script
def weather(keras):
    """A series cut into windows, with the last value as target."""
    t = np.arange(160, dtype="float32")
    rng = np.random.default_rng(0)
    series = np.stack([np.sin(t / 9), np.cos(t / 5), rng.normal(0, 0.1, 160)], 1).astype("float32")
    windows = np.stack([series[k : k + 10] for k in range(150)])
    model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(8), keras.layers.Dense(1)])
    with_weights(model)
    model.compile("adam", keras.losses.Huber(), metrics=["mae"])
    return numbers(model.fit(windows, series[10:, 0], batch_size=25, epochs=2, shuffle=False, verbose=0))


@script
def convolutions_over_time(keras):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 40)
    x = np.sin(np.arange(30)[None, :, None] * (0.2 + 0.2 * y[:, None, None])).astype("float32")
    inputs = keras.Input((30, 1))
    h = inputs
    for rate in (1, 2, 4):
        h = keras.layers.Conv1D(6, 2, padding="causal", dilation_rate=rate, activation="gelu")(h)
    outputs = keras.layers.Dense(4, activation="softmax")(keras.layers.GlobalAveragePooling1D()(h))
    model = with_weights(keras.Model(inputs, outputs))
    model.compile("nadam", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return numbers(model.fit(x, keras.utils.to_categorical(y, 4), batch_size=10, epochs=2, shuffle=False, verbose=0))


@script
def count_on(keras):
    """An encoder whose last state is the first one of the decoder."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 6, 2)).astype("float32")
    y = np.cumsum(x.sum(-1, keepdims=True), axis=1) / 5
    before, after = keras.Input((6, 2)), keras.Input((6, 1))
    _, h, c = keras.layers.LSTM(8, return_state=True)(before)
    decoded = keras.layers.LSTM(8, return_sequences=True)(after, initial_state=[h, c])
    model = with_weights(keras.Model([before, after], keras.layers.TimeDistributed(keras.layers.Dense(1))(decoded)))
    model.compile(keras.optimizers.RMSprop(5e-3), "log_cosh")
    shifted = np.concatenate([np.zeros((40, 1, 1)), y[:, :-1]], axis=1)
    return numbers(model.fit([x, shifted], y, batch_size=10, epochs=2, shuffle=False, verbose=0))
