"""The memory report of a model: known before the first step, and true to the process."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import layers

pytestmark = pytest.mark.native("plans")


def net():
    x = mlkit.Input((20,))
    h = layers.BatchNormalization()(layers.Dense(30, activation="relu")(x))
    return mlkit.Model(x, [layers.Dense(4, activation="softmax", name="kind")(h), layers.Dense(1, name="size")(h)])


X, KIND, SIZE = np.ones((8, 20), "float32"), np.zeros(8, "int64"), np.ones((8, 1), "float32")


def test_the_size_of_a_batch_is_as_good_as_a_batch():
    model = net()
    model.compile("adam", {"kind": "sparse_categorical_crossentropy", "size": "mse"})
    report = model.memory_report(batch_size=8)
    assert model.optimizer.iterations.numpy() == 0, "nothing has run"
    assert report.weights == sum(v.numpy().nbytes for v in model.variables)
    assert report.optimizer == sum(v.numpy().nbytes for v in model.optimizer.variables)
    assert report.inputs == X.nbytes + KIND.nbytes + SIZE.nbytes
    assert model.memory_report(X, [KIND, SIZE]).peak == report.peak
    traces = model.make_train_function().traces
    model.train_on_batch(X, [KIND, SIZE])
    wide = X.astype("float64")  # fit makes float32 of it
    model.memory_report(wide, [KIND, SIZE])
    model.fit(wide, [KIND, SIZE], verbose=0)
    assert model.make_train_function().traces == traces == 1, "the program is the one that runs"
    assert "optimizer" in str(report)
    assert f"{report.peak / 1e6:.2f}" in str(report)


def test_many_classes_need_little_more_than_their_probabilities(all_passes):
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(20_000, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    probabilities = 64 * 20_000 * 4
    assert model.memory_report(np.ones((64, 4), "float32"), np.zeros(64, "int64")).arena <= 2.5 * probabilities


def test_prediction_needs_less():
    model = net()
    assert model.memory_report(batch_size=64).optimizer == 0
    assert model.metrics == []
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"])
    predict, test, train = (model.memory_report(batch_size=64, step=step).peak for step in ("predict", "test", "train"))
    assert max(predict, test) < 0.6 * train


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "pass either a batch"),
        ({"x": X, "batch_size": 8}, "pass either a batch"),
        ({"batch_size": 8, "step": "fit"}, "'train', 'test' or 'predict'"),
        ({"batch_size": 8, "step": "train"}, "not compiled"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        net().memory_report(**arguments)


def test_refused_without_plan_or_known_inputs():
    with pytest.raises(ValueError, match="does not know its inputs"):
        mlkit.Sequential([layers.Dense(2)]).memory_report(batch_size=2)
    model = net()
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], run_eagerly=True)
    with pytest.raises(ValueError, match="op by op"):
        model.memory_report(batch_size=2)


PROCESS = """
import numpy as np, mlkit
from mlkit import layers

def resident(key):
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith(key))

def make(width):
    net = [layers.Conv2D(width, 3, padding="same", activation="relu") for _ in range(4)]
    model = mlkit.Sequential([mlkit.Input((32, 32, 3)), *net, layers.Flatten(), layers.Dense(100), layers.Dense(10)])
    model.compile("adam", "mse")
    return model

make(2).train_on_batch(np.zeros((2, 32, 32, 3), "float32"), np.zeros((2, 10), "float32"))  # libraries take what they need
x, y = np.zeros((32, 32, 32, 3), "float32"), np.zeros((32, 10), "float32")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
before = resident("VmRSS")
model = make(24)
planned = model.memory_report(batch_size=32).peak
for _ in range(3):
    model.train_on_batch(x, y)
print(planned, resident("VmHWM") - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's account of resident memory")
def test_the_process_takes_what_the_plan_says():
    env = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run([sys.executable, "-c", PROCESS], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    planned, measured = map(int, done.stdout.split())
    print(f"planned {planned / 1e6:.1f} MB, measured {measured / 1e6:.1f} MB")
    assert planned > 50e6
    assert 0.75 * planned < measured < 1.3 * planned + 10e6
