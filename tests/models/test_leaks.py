"""Nothing stays behind: steps make no garbage that waits for a collection, and deleted models go."""

import collections
import gc

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
