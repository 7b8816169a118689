"""Nothing stays behind: steps make no garbage that waits for a collection, and deleted models go."""

import collections
import gc
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import layers

X, Y = np.zeros((16, 6), "float32"), np.zeros(16, "int64")


def net():
    x = mlkit.Input((6,))
    h = layers.Dropout(0.1)(layers.BatchNormalization()(layers.Dense(5, activation="relu")(x)))
    model = mlkit.Model(x, layers.Dense(4, activation="softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "train_on_batch", "__call__"])
def test_steps_leave_no_cycles(method):
    model = net()
    arguments = (X,) if method in ("predict", "__call__") else (X, Y)
    options = {"verbose": 0} if method in ("fit", "evaluate", "predict") else {}
    for _ in range(2):
        getattr(model, method)(*arguments, **options)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            getattr(model, method)(*arguments, **options)
        assert gc.collect() == 0
    finally:
        gc.enable()


def counts():
    gc.collect()
    return collections.Counter(type(o).__name__ for o in gc.get_objects())


def test_deleted_models_are_gone():
    """In a process of its own: others leave thread-local parts that come and go."""
    code = "from tests.models import test_leaks; test_leaks.use_and_delete()"
    subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parents[2], check=True)


def use_and_delete():
    def use():
        model = net()
        model.fit(X, Y, batch_size=8, verbose=0, validation_split=0.25)
        model.predict(X, verbose=0)

    use()
    before = counts()
    for _ in range(3):
        use()
    grown = counts() - before
    assert not grown.keys() & {"Functional", "Variable", "Dense", "Program", "Plan", "Call", "Value", "KerasTensor"}, grown
    assert sum(grown.values()) < 100, grown.most_common(5)


SEQUENCE_LAYERS = {
    "lstm": lambda: layers.Bidirectional(layers.LSTM(4)),
    "gru": lambda: layers.Bidirectional(layers.GRU(4)),
    "rnn": lambda: layers.SimpleRNN(4),
    "attention": lambda: layers.Lambda(
        lambda x: mlkit.ops.mean(mlkit.ops.nn.softmax(x @ mlkit.ops.swapaxes(x, 1, 2)) @ x, axis=1)
    ),
    "conv": lambda: mlkit.Sequential([layers.Conv1D(4, 3, padding="same", activation="relu"), layers.GlobalMaxPooling1D()]),
}


@pytest.mark.parametrize("name", SEQUENCE_LAYERS)
def test_dropped_programs_are_gone_at_once(name):
    """They take megabytes: nobody should have to wait for a collection."""
    model = mlkit.Sequential([mlkit.Input((None, 6)), SEQUENCE_LAYERS[name](), layers.Dense(1)])
    model.compile("adam", "mse")
    for n in (5, 6):
        model.fit(np.zeros((4, n, 6), "float32"), np.zeros(4), verbose=0)
        model.predict(np.zeros((4, n, 6), "float32"), verbose=0)
    gc.collect()
    gc.disable()
    try:
        for f in model._training.programs.values():
            f.programs.clear()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [o for o in gc.garbage if type(o).__module__.startswith("mlkit")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
