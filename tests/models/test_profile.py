"""`profile`: what it reports adds up, and it leaves the model as it was."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

pytestmark = [
    pytest.mark.usefixtures("all_passes"),
    pytest.mark.native("times of kernels"),
]  # which kernels there are depends on them


def small_net():
    mlkit.utils.set_random_seed(0)
    inputs = mlkit.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.Dropout(0.5)(layers.BatchNormalization(name="norm")(x))
    outputs = layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x))
    model = mlkit.Model(inputs, outputs, name="net")
    model.compile("adam", mlkit.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


X, Y = np.random.default_rng(0).random((4, 8, 8, 3), "float32"), np.array([0, 1, 1, 0])


@pytest.fixture(scope="module")
def reports(all_passes):
    model = small_net()
    model.fit(X, Y, verbose=0)
    before = [v.numpy().copy() for v in (*model.weights, *model.optimizer.variables, *model.metrics_variables)]
    found = mlkit.profile(model, X, Y, runs=3), mlkit.profile(model, X, runs=3)
    after = [v.numpy() for v in (*model.weights, *model.optimizer.variables, *model.metrics_variables)]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)
    return found


def test_times_add_up(reports):
    for report in reports:
        total = report.kernel_seconds
        assert 0 < total <= report.seconds
        for rows in (report.by_layer, report.by_kernel, report.by_call):
            assert sum(row.seconds for row in rows) == pytest.approx(total)
            assert [row.seconds for row in rows] == sorted((row.seconds for row in rows), reverse=True)
        assert report.peaks.flops > 0
        assert report.peaks.bandwidth > 0


def test_layers_are_named_in_both_directions(reports):
    training, inference = ({row.name: row for row in r.by_layer} for r in reports)
    assert {"conv", "norm", "head", "loss", "metrics", "optimizer"} <= set(training)
    assert "(no layer)" not in training
    assert 0 < training["conv"].backward < training["conv"].seconds
    assert not any(row.backward for row in inference.values())
    assert set(inference) <= set(training)


def test_flops_of_a_convolution(reports):
    product = 2 * 4 * 8 * 8 * 3 * 3 * 3 * 4  # two FLOPs for each of the terms of each output
    flops = sum(row.flops for row in reports[0].by_kernel if row.name.startswith("conv"))
    assert 2 * product <= flops <= 2.1 * product  # forward and the kernel's gradient; bias and activation are little


def test_it_prints_tables(reports):
    shown, html = str(reports[0]), reports[0]._repr_html_()
    assert shown.startswith("training step of net")
    assert "GFLOP/s" in shown
    assert "conv" in shown
    assert "conv" in html
    assert html.count("<table>") == 2


def test_a_step_of_the_users_own_is_profiled():
    class Own(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return mlkit.ops.mean((y - y_pred) ** 2)

    model = Own()
    model.compile("sgd")
    report = mlkit.profile(model, np.ones((4, 2), "float32"), np.zeros((4, 3), "float32"), runs=1)
    assert {"loss", "optimizer"} <= {row.name for row in report.by_layer}


def test_what_cannot_be_profiled_says_so():
    model = mlkit.Sequential([mlkit.Input((2,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="not compiled"):
        mlkit.profile(model, np.ones((1, 2), "float32"), np.ones((1, 1), "float32"))
    before = mlkit.config.backend()
    mlkit.config.set_backend("jax")
    try:
        with pytest.raises(NotImplementedError, match="jax backend does not time"):
            mlkit.profile(model, np.ones((1, 2), "float32"))
    finally:
        mlkit.config.set_backend(before)
