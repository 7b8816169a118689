"""Training scripts with a mistake each, MISTAKES, and right ones, RIGHT: name -> (words of the message,) what makes the model,
and the arguments of `fit`."""

import numpy as np

import mlkit
from mlkit import layers, ops

N = 200
rng = np.random.default_rng(0)
FEATURES = rng.normal(size=(N, 8)).astype("float32")
CLASSES = rng.integers(0, 4, N)
ONE_HOT = np.eye(4, dtype="float32")[CLASSES]
YES = rng.integers(0, 2, N)
NUMBERS = rng.normal(size=(N, 1)).astype("float32")
PIXELS = rng.integers(0, 256, (N, 16, 16, 3)).astype("uint8")
WORDS = rng.integers(1, 50, (N, 6))


def dense(units, activation=None, *, hidden="relu", shape=(8,), before=(), after=()):
    return mlkit.Sequential(
        [mlkit.Input(shape), *before, layers.Dense(8, activation=hidden), layers.Dense(units, activation=activation), *after]
    )


def conv(units=4, activation="softmax", *before, after=(), shape=(16, 16, 3)):
    stack = [*before, layers.Conv2D(4, 3, activation="relu"), *after, layers.GlobalAveragePooling2D()]
    return mlkit.Sequential([mlkit.Input(shape), *stack, layers.Dense(units, activation=activation)])


def compiled(model, loss, metrics=None, optimizer="adam", **kwargs):
    model.compile(optimizer, loss, metrics=metrics, **kwargs)
    return model


def softmax_classifier(metrics=None, **kwargs):
    return compiled(dense(4, "softmax"), "sparse_categorical_crossentropy", metrics, **kwargs)


def two_inputs(used=True):
    a, b = mlkit.Input((8,), name="a"), mlkit.Input((8,), name="b")
    h = layers.Dense(8, activation="relu")(a)
    if used:
        h = layers.Concatenate()([h, layers.Dense(2)(b)])
    return mlkit.Model({"a": a, "b": b}, layers.Dense(1)(h))


def frozen():
    model = dense(4, "softmax")
    model.trainable = False
    return compiled(model, "sparse_categorical_crossentropy")


def dead():
    """A layer whose relu is never on."""
    stack = [layers.Dense(8, activation="relu", bias_initializer=mlkit.initializers.Constant(-100.0)), layers.Dense(1)]
    return compiled(mlkit.Sequential([mlkit.Input((8,)), *stack]), "mse")


def rounded():
    model = mlkit.Sequential([mlkit.Input((8,)), layers.Dense(8), layers.Lambda(ops.round), layers.Dense(1)])
    return compiled(model, "mse")


def hole(array):
    array = array.copy()
    array[17, 3] = np.nan
    return array


IS_SORTED = np.argsort(CLASSES, kind="stable")
SKEWED = (np.arange(N) % 20 == 0).astype("int64")
BINARY = ("binary_crossentropy", ["accuracy"])
LOGITS = mlkit.losses.BinaryCrossentropy(from_logits=True)
SPARSE_LOGITS = mlkit.losses.SparseCategoricalCrossentropy(from_logits=True)

MISTAKES = {  # name -> (words of the message, the model, arguments of fit)
    "labels from 1": ("Number the classes", lambda: softmax_classifier(), dict(x=FEATURES, y=CLASSES + 1)),
    "negative labels": ("Number the classes", lambda: softmax_classifier(), dict(x=FEATURES, y=CLASSES - 1)),
    "a late label out of range": (
        "Number the classes",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=np.r_[CLASSES[:-1], 9]),
    ),
    "a label of validation out of range": (
        "Validation data: ",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=CLASSES, validation_data=(FEATURES[:50], CLASSES[:50] + 2)),
    ),
    "labels -1 and 1": ("must be in [0, 1]", lambda: compiled(dense(1, "sigmoid"), *BINARY), dict(x=FEATURES, y=2 * YES - 1)),
    "class numbers for one-hot": (
        "use sparse_categorical",
        lambda: compiled(dense(4, "softmax"), "categorical_crossentropy"),
        dict(x=FEATURES, y=CLASSES),
    ),
    "one-hot for class numbers": ("use categorical_crossentropy", lambda: softmax_classifier(), dict(x=FEATURES, y=ONE_HOT)),
    "logits": (
        "expects probabilities",
        lambda: compiled(dense(4), "sparse_categorical_crossentropy"),
        dict(x=FEATURES, y=CLASSES),
    ),
    "relu as probability": ("expects probabilities", lambda: compiled(dense(1, "relu"), *BINARY), dict(x=FEATURES, y=YES)),
    "tanh as probability": ("expects probabilities", lambda: compiled(dense(1, "tanh"), *BINARY), dict(x=FEATURES, y=YES)),
    "softmax and from_logits": (
        "applied twice",
        lambda: compiled(dense(4, "softmax"), SPARSE_LOGITS),
        dict(x=FEATURES, y=CLASSES),
    ),
    "sigmoid and from_logits": ("applied twice", lambda: compiled(dense(1, "sigmoid"), LOGITS), dict(x=FEATURES, y=YES)),
    "softmax over one unit": ("always 1", lambda: compiled(dense(1, "softmax"), *BINARY), dict(x=FEATURES, y=YES)),
    "categorical loss of one unit": (
        "always 0",
        lambda: compiled(dense(1, "sigmoid"), "categorical_crossentropy"),
        dict(x=FEATURES, y=YES[:, None]),
    ),
    "binary loss of softmax": (
        "share one probability",
        lambda: compiled(dense(4, "softmax"), "binary_crossentropy"),
        dict(x=FEATURES, y=ONE_HOT),
    ),
    "categorical loss of sigmoid": (
        "sum to 1",
        lambda: compiled(dense(4, "sigmoid"), "categorical_crossentropy"),
        dict(x=FEATURES, y=ONE_HOT),
    ),
    "several classes a sample": (
        "do not sum to 1",
        lambda: compiled(dense(4, "softmax"), "categorical_crossentropy"),
        dict(x=FEATURES, y=(rng.random((N, 4)) < 0.5).astype("float32")),
    ),
    "NaN in x": ("NaN or infinite values in 1", lambda: softmax_classifier(), dict(x=hole(FEATURES), y=CLASSES)),
    "NaN in y": ("without a target", lambda: compiled(dense(1), "mse"), dict(x=FEATURES, y=np.r_[NUMBERS[:-1], [[np.nan]]])),
    "sorted split": (
        "seem sorted",
        lambda: softmax_classifier(),
        dict(x=FEATURES[IS_SORTED], y=CLASSES[IS_SORTED], validation_split=0.2),
    ),
    "validation of one class": (
        "only class 1",
        lambda: compiled(dense(1, "sigmoid"), *BINARY),
        dict(x=FEATURES, y=YES, validation_data=(rng.normal(size=(40, 8)).astype("float32"), np.ones(40, int))),
    ),
    "validation is training": (
        "is the training data",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=CLASSES, validation_data=(FEATURES, CLASSES)),
    ),
    "rows in both parts": (
        "are in the training data too",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=CLASSES, validation_data=(FEATURES[::4].copy(), CLASSES[::4])),
    ),
    "validation of another scale": (
        "mean magnitude",
        lambda: conv_classifier(),
        dict(
            x=(PIXELS / 255).astype("float32"),
            y=CLASSES,
            validation_data=(PIXELS[:60][::-1].astype("float32"), CLASSES[:60][::-1]),
        ),
    ),
    "pixels of 0 to 255": ("begin the model with", lambda: conv_classifier(), dict(x=PIXELS, y=CLASSES)),
    "pixels of 0 to 255, dense": (
        "begin the model with",
        lambda: compiled(
            mlkit.Sequential([mlkit.Input((16, 16)), layers.Flatten(), layers.Dense(4, "softmax")]),
            "sparse_categorical_crossentropy",
        ),
        dict(x=PIXELS[..., 0].astype("float32"), y=CLASSES),
    ),
    "pixels in a class of one's own": ("begin the model with", lambda: own_classifier(), dict(x=PIXELS, y=CLASSES)),
    "scaled twice": (
        "once more",
        lambda: compiled(conv(4, "softmax", layers.Rescaling(1 / 255)), "sparse_categorical_crossentropy"),
        dict(x=(PIXELS / 255).astype("float32"), y=CLASSES),
    ),
    "channels first": (
        "channels last",
        lambda: compiled(conv(shape=(3, 16, 16)), "sparse_categorical_crossentropy"),
        dict(x=np.ascontiguousarray(np.moveaxis(PIXELS, -1, 1)) / np.float32(255), y=CLASSES),
    ),
    "no channel axis": (
        "channel",
        lambda: compiled(
            mlkit.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(4, "softmax")]),
            "sparse_categorical_crossentropy",
        ),
        dict(x=PIXELS[..., 0] / np.float32(255), y=CLASSES),
    ),
    "unscaled features": ("by the standard deviation", lambda: compiled(dense(1), "mse"), dict(x=FEATURES * 1e5, y=NUMBERS)),
    "fractions into an embedding": (
        "holds fractions",
        lambda: compiled(
            mlkit.Sequential([mlkit.Input((8,)), layers.Embedding(50, 4), layers.Flatten(), layers.Dense(1)]), "mse"
        ),
        dict(x=np.abs(FEATURES) * 5, y=NUMBERS),
    ),
    "equal samples": (
        "all samples of x are equal",
        lambda: softmax_classifier(),
        dict(x=np.repeat(FEATURES[:1], N, 0), y=CLASSES),
    ),
    "equal targets": ("all targets are equal", lambda: compiled(dense(1), "mse"), dict(x=FEATURES, y=np.ones((N, 1)))),
    "an entry nobody takes": (
        "no input of the model takes",
        lambda: compiled(two_inputs(), "mse"),
        dict(x={"a": FEATURES, "b": FEATURES, "c": FEATURES}, y=NUMBERS),
    ),
    "an input without use": (
        "leads to no output",
        lambda: compiled(two_inputs(False), "mse"),
        dict(x={"a": FEATURES, "b": FEATURES}, y=NUMBERS),
    ),
    "all frozen": ("no weight of the model is trainable", frozen, dict(x=FEATURES, y=CLASSES)),
    "a dead layer": ("has moved in the first steps", dead, dict(x=FEATURES, y=NUMBERS)),
    "a gradient that round stops": ("has moved in the first steps", rounded, dict(x=FEATURES, y=NUMBERS)),
    "accuracy of one class": ("are of one class", lambda: compiled(dense(1, "sigmoid"), *BINARY), dict(x=FEATURES, y=SKEWED)),
    "accuracy of regression": ("for regression", lambda: compiled(dense(1), "mse", ["accuracy"]), dict(x=FEATURES, y=NUMBERS)),
    "one-hot metric of class numbers": (
        "Use SparseCategoricalAccuracy",
        lambda: softmax_classifier([mlkit.metrics.CategoricalAccuracy()]),
        dict(x=FEATURES, y=CLASSES),
    ),
    "accuracy of equality": (
        "never equal",
        lambda: softmax_classifier([mlkit.metrics.Accuracy()]),
        dict(x=FEATURES, y=CLASSES),
    ),
    "binary accuracy of softmax": (
        "softmax chooses one class",
        lambda: compiled(dense(4, "softmax"), "categorical_crossentropy", ["binary_accuracy"]),
        dict(x=FEATURES, y=ONE_HOT),
    ),
    "accuracy of logits at 0.5": (
        "a threshold of 0.0",
        lambda: compiled(dense(1), LOGITS, ["accuracy"]),
        dict(x=FEATURES, y=YES),
    ),
    "AUC of logits": ("from_logits=True", lambda: compiled(dense(1), LOGITS, [mlkit.metrics.AUC()]), dict(x=FEATURES, y=YES)),
    "a learning rate of 0": (
        "the learning rate is 0",
        lambda: softmax_classifier(optimizer=mlkit.optimizers.SGD(0.0)),
        dict(x=FEATURES, y=CLASSES),
    ),
    "a learning rate of 1": (
        "moves every weight",
        lambda: softmax_classifier(optimizer=mlkit.optimizers.Adam(1.0)),
        dict(x=FEATURES, y=CLASSES),
    ),
    "targets out of reach of sigmoid": (
        "cannot reach",
        lambda: compiled(dense(1, "sigmoid"), "mse"),
        dict(x=FEATURES, y=NUMBERS * 3),
    ),
    "negative targets of relu": ("cannot reach", lambda: compiled(dense(1, "relu"), "mae"), dict(x=FEATURES, y=NUMBERS)),
    "targets in the hundred thousands": (
        "Divide them",
        lambda: compiled(dense(1), "mse"),
        dict(x=FEATURES, y=NUMBERS * 1e4 + 2e5),
    ),
    "weights of 0": (
        "is 0 for all samples",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=CLASSES, sample_weight=np.zeros(N)),
    ),
    "a class weight of no class": (
        "which the model does not have",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=CLASSES, class_weight={1: 1.0, 4: 2.0}),
    ),
    "batches of one": (
        "batches of one sample",
        lambda: compiled(conv(4, "softmax", after=[layers.BatchNormalization()]), "sparse_categorical_crossentropy"),
        dict(x=(PIXELS[:8] / 255).astype("float32"), y=CLASSES[:8], batch_size=1),
    ),
    "a falling rate": (
        "the loss grows by it",
        lambda: softmax_classifier(optimizer=mlkit.optimizers.SGD(-0.1)),
        dict(x=FEATURES, y=CLASSES),
    ),
    "negative weights": (
        "sample_weight is negative for 100 samples",
        lambda: softmax_classifier(),
        dict(x=FEATURES, y=CLASSES, sample_weight=np.r_[np.ones(N - 100), -np.ones(100)]),
    ),
    "percent of 0": (
        "a percentage of 0 dominates the loss",
        lambda: compiled(dense(1), "mape"),
        dict(x=FEATURES, y=np.where(NUMBERS > 0, NUMBERS, 0)),
    ),
    "counts below 0": ("poisson is a loss of counts", lambda: compiled(dense(1), "poisson"), dict(x=FEATURES, y=NUMBERS)),
    "a sparse metric of one-hot": (
        "takes class numbers, but the targets are one-hot",
        lambda: compiled(dense(4, "softmax"), "categorical_crossentropy", ["sparse_categorical_accuracy"]),
        dict(x=FEATURES, y=ONE_HOT),
    ),
    "a metric of yes and no of class numbers": (
        "takes yes/no targets for each unit",
        lambda: softmax_classifier(["precision"]),
        dict(x=FEATURES, y=CLASSES),
    ),
}


def conv_classifier():
    return compiled(conv(), "sparse_categorical_crossentropy", ["accuracy"])


def own_classifier():
    class Own(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.pool, self.head = layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(4, "softmax")

        def call(self, x):
            return self.head(self.pool(self.conv(x)))

    return compiled(Own(), "sparse_categorical_crossentropy")


def sequence(layer):
    return mlkit.Sequential([mlkit.Input((6,)), layers.Embedding(50, 8, mask_zero=True), layer, layers.Dense(1, "sigmoid")])


def multi_output():
    x = mlkit.Input((8,))
    h = layers.Dense(8, activation="relu")(x)
    return mlkit.Model(x, [layers.Dense(4, "softmax", name="kind")(h), layers.Dense(1, name="size")(h)])


def autoencoder():
    return mlkit.Sequential([mlkit.Input((8,)), layers.Dense(3, activation="relu"), layers.Dense(8)])


def segmentation():
    stack = [
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.Conv2D(2, 1, activation="softmax"),
    ]
    return compiled(mlkit.Sequential([mlkit.Input((16, 16, 3)), *stack]), "sparse_categorical_crossentropy", ["accuracy"])


def residual():
    """With a gate that begins at 0, as in ReZero: at the first step nothing flows through it."""

    class Gate(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="zeros")

        def call(self, x):
            return x * self.scale

    x = mlkit.Input((8,))
    return compiled(mlkit.Model(x, layers.Dense(1)(x + Gate()(layers.Dense(8, "relu")(x)))), "mse")


def head_of_frozen_body():
    body = conv(8, "relu", layers.Rescaling(1 / 255))
    body.trainable = False
    return compiled(
        mlkit.Sequential([mlkit.Input((16, 16, 3)), body, layers.Dense(4, "softmax")]), "sparse_categorical_crossentropy"
    )


def normalized():
    first = layers.Normalization()
    first.adapt(FEATURES * 1e5)
    return compiled(dense(1, before=[first]), "mse")


SCALED = (PIXELS / 255).astype("float32")
NEW = rng.normal(size=(60, 8)).astype("float32"), rng.integers(0, 4, 60)
MANY = (rng.random((N, 4)) < 0.4).astype("float32")

RIGHT = {
    "softmax": (lambda: softmax_classifier(["accuracy"]), dict(x=FEATURES, y=CLASSES)),
    "logits": (lambda: compiled(dense(4), SPARSE_LOGITS, ["accuracy"]), dict(x=FEATURES, y=CLASSES)),
    "one-hot": (lambda: compiled(dense(4, "softmax"), "categorical_crossentropy", ["accuracy"]), dict(x=FEATURES, y=ONE_HOT)),
    "label smoothing": (
        lambda: compiled(dense(4, "softmax"), mlkit.losses.CategoricalCrossentropy(label_smoothing=0.1)),
        dict(x=FEATURES, y=ONE_HOT),
    ),
    "mixed labels": (
        lambda: compiled(dense(4, "softmax"), "categorical_crossentropy"),
        dict(x=FEATURES, y=0.3 * ONE_HOT + 0.7 * ONE_HOT[::-1]),
    ),
    "binary": (lambda: compiled(dense(1, "sigmoid"), *BINARY), dict(x=FEATURES, y=YES)),
    "binary logits": (
        lambda: compiled(dense(1), LOGITS, [mlkit.metrics.BinaryAccuracy(threshold=0.0), mlkit.metrics.AUC(from_logits=True)]),
        dict(x=FEATURES, y=YES),
    ),
    "several classes a sample": (lambda: compiled(dense(4, "sigmoid"), *BINARY), dict(x=FEATURES, y=MANY)),
    "regression": (lambda: compiled(dense(1), "mse", ["mae"]), dict(x=FEATURES, y=NUMBERS)),
    "regression of a vector": (lambda: compiled(dense(3), "mae"), dict(x=FEATURES, y=rng.normal(size=(N, 3)))),
    "positive regression": (lambda: compiled(dense(1, "softplus"), "mse"), dict(x=FEATURES, y=np.abs(NUMBERS))),
    "counts": (lambda: compiled(dense(1, "exponential"), "poisson"), dict(x=FEATURES, y=rng.poisson(3, (N, 1)))),
    "images, scaled": (conv_classifier, dict(x=SCALED, y=CLASSES)),
    "images, scaled by the model": (
        lambda: compiled(conv(4, "softmax", layers.Rescaling(1 / 255)), "sparse_categorical_crossentropy"),
        dict(x=PIXELS, y=CLASSES),
    ),
    "images, augmented and scaled": (
        lambda: compiled(
            conv(4, "softmax", layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)), "sparse_categorical_crossentropy"
        ),
        dict(x=PIXELS, y=CLASSES),
    ),
    "images, normalized behind the convolution": (
        lambda: compiled(conv(4, "softmax", after=[layers.BatchNormalization()]), "sparse_categorical_crossentropy"),
        dict(x=PIXELS, y=CLASSES),
    ),
    "images around 0": (conv_classifier, dict(x=SCALED * 2 - 1, y=CLASSES)),
    "segmentation": (segmentation, dict(x=PIXELS, y=rng.integers(0, 2, (N, 16, 16)))),
    "words": (lambda: compiled(sequence(layers.LSTM(4)), *BINARY), dict(x=WORDS, y=YES)),
    "words, averaged": (lambda: compiled(sequence(layers.GlobalAveragePooling1D()), *BINARY), dict(x=WORDS, y=YES)),
    "next words": (
        lambda: compiled(
            mlkit.Sequential(
                [mlkit.Input((6,)), layers.Embedding(50, 8), layers.GRU(8, return_sequences=True), layers.Dense(50)]
            ),
            SPARSE_LOGITS,
        ),
        dict(x=WORDS, y=WORDS),
    ),
    "autoencoder": (lambda: compiled(autoencoder(), "mse"), dict(x=FEATURES, y=FEATURES)),
    "two outputs": (
        lambda: compiled(multi_output(), {"kind": "sparse_categorical_crossentropy", "size": "mse"}),
        dict(x=FEATURES, y={"kind": CLASSES, "size": NUMBERS}),
    ),
    "two inputs": (lambda: compiled(two_inputs(), "mse"), dict(x={"a": FEATURES, "b": FEATURES}, y=NUMBERS)),
    "validation": (lambda: softmax_classifier(["accuracy"]), dict(x=FEATURES, y=CLASSES, validation_data=NEW)),
    "split": (lambda: softmax_classifier(["accuracy"]), dict(x=FEATURES, y=CLASSES, validation_split=0.2)),
    "weighted classes": (
        lambda: compiled(dense(1, "sigmoid"), *BINARY),
        dict(x=FEATURES, y=SKEWED, class_weight={0: 1.0, 1: 19.0}),
    ),
    "rare classes with AUC": (
        lambda: compiled(dense(1, "sigmoid"), "binary_crossentropy", ["accuracy", mlkit.metrics.AUC()]),
        dict(x=FEATURES, y=SKEWED),
    ),
    "a gate that begins at 0": (residual, dict(x=FEATURES, y=NUMBERS)),
    "a frozen body": (head_of_frozen_body, dict(x=PIXELS, y=CLASSES)),
    "large features, normalized": (normalized, dict(x=FEATURES * 1e5, y=NUMBERS)),
    "a schedule that begins at 0": (
        lambda: softmax_classifier(
            optimizer=mlkit.optimizers.Adam(
                mlkit.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=1e-2, warmup_steps=50)
            )
        ),
        dict(x=FEATURES, y=CLASSES),
    ),
    "hinge": (lambda: compiled(dense(1, "tanh"), "hinge"), dict(x=FEATURES, y=2 * YES - 1)),
    "precision and recall": (
        lambda: compiled(dense(1, "sigmoid"), "binary_crossentropy", [mlkit.metrics.Precision(), mlkit.metrics.Recall()]),
        dict(x=FEATURES, y=YES),
    ),
}
