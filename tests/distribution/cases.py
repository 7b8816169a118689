"""Trainings that several processes must do as one does it: name -> function that returns arrays. Each makes its model and data anew."""

import numpy as np

import mlkit
from mlkit import layers, losses, metrics, ops, optimizers

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def _data(samples=26, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 5)), rng.integers(0, classes, samples)


def _mlp(**options):
    return mlkit.Sequential([mlkit.Input((5,)), layers.Dense(8, "tanh", **options), layers.Dense(3)])


def _crossentropy(**options):
    return losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def _trained(model, x, y, batch_size=8, epochs=2, **options):
    history = model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, **options).history
    return {**{f"weight {k}": w for k, w in enumerate(model.get_weights())}, **{k: np.array(v) for k, v in history.items()}}


@case
def functional():
    """With a regularizer, whose loss counts once, a short last batch and validation."""
    x, y = _data()
    inputs = mlkit.Input((5,))
    hidden = layers.Dense(8, "relu", kernel_regularizer="l2", activity_regularizer="l1")(inputs)
    model = mlkit.Model(inputs, layers.Dense(3)(layers.concatenate([hidden, inputs])))
    model.compile(optimizers.Adam(0.01), _crossentropy(), metrics=["accuracy"])
    return _trained(model, x, y, validation_split=0.2)


@case
def subclassed():
    class Net(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(6, "relu"), layers.Dense(3)

        def call(self, x):
            return self.two(self.one(x))

    model = Net()
    model.compile("rmsprop", _crossentropy())
    return _trained(model, *_data())


@case
def custom_train_step():
    class Net(mlkit.Sequential):
        def train_step(self, data):
            x, y = data
            with mlkit.GradientTape() as tape:
                loss = ops.mean(ops.square(self(x, training=True) - ops.one_hot(y, 3, dtype="float64")))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            self.seen.update_state(loss, sample_weight=x.shape[0])
            return {"seen": self.seen.result()}

    model = Net([mlkit.Input((5,)), layers.Dense(3)])
    model.seen = metrics.Mean("seen")
    model.compile(optimizers.SGD(0.1, momentum=0.9))
    return _trained(model, *_data())


@case
def eager():
    model = _mlp()
    model.compile("sgd", _crossentropy(), metrics=["accuracy"], run_eagerly=True)
    return _trained(model, *_data())


@case
def fewer_samples_than_processes():
    """Batches of one sample: all ranks but the first have none."""
    model = _mlp()
    model.compile("adam", _crossentropy(), metrics=["accuracy"])
    return _trained(model, *_data(5), batch_size=1)


@case
def sums_masks_and_weights():
    x, y = _data()
    found = {}
    for reduction in ("sum", "mean_with_sample_weight"):
        mlkit.utils.set_random_seed(1)
        model = _mlp()
        model.compile(optimizers.SGD(0.01), _crossentropy(reduction=reduction), weighted_metrics=["accuracy"])
        for k, v in _trained(model, x, y, sample_weight=np.arange(26.0)).items():
            found[f"{reduction} {k}"] = v
    words = np.random.default_rng(0).integers(0, 4, (14, 6))
    tagger = mlkit.Sequential([mlkit.Input((6,), dtype="int32"), layers.Embedding(4, 3, mask_zero=True), layers.Dense(4)])
    tagger.compile(optimizers.SGD(0.1), _crossentropy(), metrics=["accuracy"])
    return {**found, **_trained(tagger, words, words)}


@case
def normalized_together():
    model = mlkit.Sequential(
        [mlkit.Input((5,)), layers.Dense(6), layers.BatchNormalization(synchronized=True), layers.Dense(3)]
    )
    model.compile(optimizers.SGD(0.1), _crossentropy())
    return _trained(model, *_data())


@case
def clipped_and_accumulated():
    found = {}
    for name, optimizer in {
        "clip": optimizers.SGD(0.1, global_clipnorm=0.1),
        "accumulate": optimizers.Adam(0.01, gradient_accumulation_steps=2),
        "scale": optimizers.LossScaleOptimizer(optimizers.SGD(0.1)),
        "average": optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
        "several": optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1), {".*bias": optimizers.Adam(0.01)})),
    }.items():
        mlkit.utils.set_random_seed(2)
        model = _mlp()
        model.compile(optimizer, _crossentropy())
        found.update({f"{name} {k}": v for k, v in _trained(model, *_data()).items()})
    return found


@case
def mixed_precision():
    model = mlkit.Sequential(
        [mlkit.Input((5,)), *(layers.Dense(n, a, dtype="mixed_bfloat16") for n, a in ((8, "tanh"), (3, None)))]
    )
    model.compile(optimizers.SGD(0.1), _crossentropy())
    return _trained(model, *_data(), epochs=1)


@case
def all_optimizers():
    found = {}
    for name in ("Adadelta", "Adafactor", "Adagrad", "Adamax", "AdamW", "Ftrl", "Lamb", "Lion", "Muon", "Nadam", "RMSprop"):
        mlkit.utils.set_random_seed(2)
        model = _mlp()
        model.compile(getattr(optimizers, name)(0.01), _crossentropy())
        found.update({f"{name} {k}": v for k, v in _trained(model, *_data(), epochs=1).items()})
    return found


@case
def all_metrics():
    x, y = _data(classes=2)
    model = mlkit.Sequential([mlkit.Input((5,)), layers.Dense(1, "sigmoid")])
    own = [
        "accuracy", "mse", "mae", metrics.AUC(), metrics.AUC(curve="PR", name="pr"), metrics.Precision(), metrics.Recall(),
        metrics.F1Score("micro", threshold=0.5), metrics.BinaryIoU(), metrics.MeanIoU(2), metrics.R2Score(), metrics.CosineSimilarity(),
        metrics.PrecisionAtRecall(0.5), metrics.RootMeanSquaredError(), metrics.TruePositives(), metrics.LogCoshError(),
        metrics.PearsonCorrelation(), metrics.ConcordanceCorrelation(),
    ]  # fmt: skip
    model.compile("sgd", "binary_crossentropy", metrics=own)
    y = y[:, None].astype("float64")
    found = _trained(model, x, y, epochs=1)
    logs = model.evaluate(x, y, batch_size=9, verbose=0, return_dict=True)
    return {**found, **{f"evaluate {k}": np.asarray(v) for k, v in logs.items()}}


@case
def evaluated_and_predicted():
    x, y = _data()
    model = mlkit.Model(i := mlkit.Input((5,)), {"a": layers.Dense(2)(i), "b": layers.Dense(3)(i)})
    model.compile(loss={"a": "mse", "b": _crossentropy()}, metrics={"b": "accuracy"})
    whole = model.predict(x, batch_size=9, verbose=0)
    whole |= {f"{k} on batch": v for k, v in model.predict_on_batch(x[:5]).items()}
    logs = model.evaluate(x, {"a": x[:, :2], "b": y}, batch_size=9, verbose=0, return_dict=True)
    return {**whole, **{k: np.asarray(v) for k, v in logs.items()}}


@case
def stopped_early():
    x, y = _data()
    model = _mlp()
    model.compile(optimizers.SGD(0.5), _crossentropy())
    stop = mlkit.callbacks.EarlyStopping("loss", min_delta=0.02, patience=1)
    slower = mlkit.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.1)
    return _trained(model, x, y, epochs=12, callbacks=[stop, slower])


def run(name):
    """The arrays of a case, in float64."""
    before = mlkit.config.floatx()
    mlkit.config.set_floatx("float64")
    try:
        mlkit.utils.set_random_seed(7)
        return CASES[name]()
    finally:
        mlkit.config.set_floatx(before)
