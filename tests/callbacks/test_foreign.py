"""Callbacks of any class: those of Keras itself, and objects that only have some of the methods."""

import keras
import numpy as np
import pytest

import mlkit
from mlkit.callbacks import BackupAndRestore

X = np.random.RandomState(0).rand(32, 4).astype("float32")
Y = X.sum(1, keepdims=True)


def make_model(optimizer="sgd"):
    model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3, activation="relu"), mlkit.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def fit(model, *callbacks, **options):
    return model.fit(X, Y, callbacks=list(callbacks), **{"epochs": 3, "batch_size": 8, "verbose": 0, "check": False, **options})


class Plain:
    """No base class, and few methods: as loggers of experiments are."""

    def __init__(self):
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append(("begin", self.params["epochs"], self.model.count_params()))

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, sorted(logs)))

    def on_test_end(self, logs=None):
        self.seen.append(("test", sorted(logs)))


def test_an_object_with_some_of_the_methods():
    logger = Plain()
    model = make_model()
    fit(model, logger, epochs=2, validation_split=0.25)
    begin, test = ("begin", 2, 19), ("test", ["loss"])
    assert logger.seen == [begin, test, (0, ["loss", "val_loss"]), test, (1, ["loss", "val_loss"])]
    model.evaluate(X, Y, verbose=0, callbacks=logger)
    assert logger.seen[-1] == test


class OfKeras(keras.callbacks.Callback):
    """As W&B's and MLflow's are made: Keras is their base."""

    def __init__(self):
        super().__init__()
        self.batches, self.rates, self.table = [], [], []

    def on_train_begin(self, logs=None):
        self.model.summary(print_fn=lambda line, **_: self.table.append(line))

    def on_batch_end(self, batch, logs=None):  # the older name
        self.batches.append((batch, float(logs["loss"])))

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))
        if epoch == 1:
            self.model.stop_training = True


def test_a_subclass_of_keras_callback():
    seen = OfKeras()
    history = fit(make_model(), seen, epochs=5)
    assert history.epoch == [0, 1]
    assert [number for number, _ in seen.batches] == [0, 1, 2, 3] * 2
    np.testing.assert_allclose(seen.rates, [0.01, 0.01], rtol=1e-6)
    assert any("dense" in line for line in seen.table)


def test_keras_own_callbacks(tmp_path):
    k = keras.callbacks
    model = make_model()
    seen = []
    used = [
        k.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        k.EarlyStopping("loss", min_delta=100.0, patience=2, mode="min", restore_best_weights=True),
        k.ReduceLROnPlateau("loss", patience=0, min_delta=100.0, mode="min", factor=0.5),
        k.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        k.CSVLogger(tmp_path / "log.csv"),
        k.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch)),
        k.TerminateOnNaN(),
    ]
    history = fit(model, *used, epochs=9)
    assert history.epoch == seen == [0, 1, 2]
    assert {f.name for f in tmp_path.iterdir()} == {"1.weights.h5", "2.weights.h5", "3.weights.h5", "log.csv"}
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    again = make_model()
    again.load_weights(tmp_path / "1.weights.h5")
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_state_of_a_foreign_callback_is_kept(tmp_path):
    class Counter:
        def __init__(self):
            self.count = 0

        def on_train_batch_end(self, batch, logs):
            self.count += 1
            if self.count == 6 and self.cut:
                raise KeyboardInterrupt

        def get_state(self):
            return {"count": self.count}

        def set_state(self, state):
            self.count = state["count"]

    first, second = Counter(), Counter()
    first.cut, second.cut = True, False
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), first, BackupAndRestore(tmp_path, save_freq=2))
    fit(make_model(), second, BackupAndRestore(tmp_path, save_freq=2))
    assert second.count == 12


def test_what_is_none():
    for wrong in (object(), "history", print, Plain, OfKeras):
        with pytest.raises(TypeError, match="not the class|objects with methods of its names"):
            fit(make_model(), wrong)
