"""`mlkit.debug`: a step run call by call, forward and back."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops

pytestmark = pytest.mark.native("steps are compared with the native engine's, to the bit")


def conv_net(**options):
    mlkit.utils.set_random_seed(0)
    inputs = mlkit.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.GlobalAveragePooling2D(name="pool")(ops.relu(h))
    model = mlkit.Model(
        inputs, layers.Dense(3, activation="softmax", name="head")(layers.Dropout(0.5, name="drop")(h)), name="net"
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def photos(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 8, 8, 3)).astype("float32"), np.array([0, 1, 2, 0])


def values(model):
    return [v.numpy().copy() for v in [*model.weights, *model.optimizer.variables, *model.metrics_variables]]


def equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b))


@pytest.mark.parametrize("eager", [False, True])
def test_a_step_run_call_by_call_is_the_step(eager):
    model, (x, y) = conv_net(run_eagerly=eager), photos()
    debugger = mlkit.debug(model, x, y)
    before = values(model)
    debugger.break_on(phase="update")
    debugger.go()
    assert debugger.phase == "update"
    assert equal(values(model), before)
    gradient = debugger.gradient("head/kernel")
    logs = debugger.finish()
    assert not equal(values(model), before)
    after = values(model)
    other = conv_net(run_eagerly=True)
    for v, value in zip(other.weights, before):
        v.assign(value)
    expected = other.train_on_batch(x, y, return_dict=True)
    assert logs == pytest.approx(expected)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(values(other), after))
    assert gradient.shape == (4, 3)


def test_back_from_the_end_takes_the_update_back_and_forward_gives_it_again():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y)
    before = values(model)
    debugger.finish()
    after = values(model)
    debugger.back(30)
    assert equal(values(model), before)
    assert debugger.logs is None
    debugger.back(10**6)
    assert debugger.position == 0
    debugger.finish()
    assert equal(values(model), after)


def test_gradients_are_those_of_a_tape():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y).go("head")
    names = ["conv/kernel", "conv/bias", "norm/gamma", "head/kernel"]
    seeds = [v for v in model.variables if "seed" in v.path]
    with mlkit.GradientTape() as tape:
        loss = mlkit.losses.sparse_categorical_crossentropy(y, model(x, training=True))
        loss = ops.mean(loss)
    trained = {v.path: g for v, g in zip(model.trainable_weights, tape.gradient(loss, model.trainable_weights))}
    assert seeds
    for name in names:
        assert np.allclose(debugger.gradient(name), trained[name], atol=1e-6), name
    assert debugger.gradient("pool").shape == (4, 4)
    assert debugger.gradient("x") is None
    assert debugger.position == debugger.graph.names.index("head/softmax") + 1  # looking ahead moves nothing


def test_what_is_set_is_what_the_rest_is_computed_from():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y).go("head")
    first = debugger.value("head")
    debugger.set("pool", 0.0)
    assert np.allclose(debugger.value("head"), 1 / 3)  # computed anew from what was set
    assert not np.allclose(first, 1 / 3)
    assert np.array_equal(debugger.gradient("head/kernel"), np.zeros((4, 3)))
    kernel = model.get_layer("head").kernel.numpy().copy()
    debugger.set("head/kernel", np.ones((4, 3)))
    assert np.array_equal(model.get_layer("head").kernel.numpy(), kernel)
    debugger.back(2).step(2)
    debugger.finish()
    assert np.allclose(model.get_layer("head").kernel.numpy(), 1.0, atol=2e-3)  # a step of Adam from there


def test_setting_is_refused_where_it_does_not_fit():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y).go("pool")
    with pytest.raises(ValueError, match=r"shape \(4, 4\), but got \(2,\)"):
        debugger.set("pool", [1, 2])
    with pytest.raises(ValueError, match="not known yet"):
        debugger.set("head", 0)
    with pytest.raises(ValueError, match="no value of this step. Near are"):
        debugger.value("poool")
    with pytest.raises(ValueError, match="float32, but got"):
        debugger.set("pool", "a")
    debugger.finish()
    with pytest.raises(ValueError, match="has ended"):
        debugger.set("pool", 0)


def test_breakpoints_by_layer_op_and_function():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y)
    debugger.break_on(layer="no*", op="batch_norm*")
    assert debugger.go().last == "norm/batch_norm"
    assert debugger.go().last == "norm/gradient/batch_norm_grad"
    debugger.back(10**6).breakpoints.clear()
    debugger.break_on(layer="head", when=lambda *arrays: arrays[0].shape == (4, 3) and arrays[0].min() > 0)
    assert debugger.go().last == "head/softmax"
    for wrong in ({"layer": "hed"}, {"op": "logg"}, {"phase": "back"}, {"when": "nan"}, {}):
        with pytest.raises(ValueError, match="break_on"):
            debugger.break_on(**wrong)


def test_moving_by_layers_and_watching():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y).watch("head")
    seen = [debugger.next_layer().layer for _ in range(5)]
    assert seen == ["conv", "norm", "net", "pool", "drop"]
    assert "head = not known yet" in repr(debugger)
    debugger.go("head")
    assert "head = float32 (4, 3)" in repr(debugger)
    assert "head/softmax" in debugger._repr_html_()
    with pytest.raises(ValueError, match="already"):
        debugger.go("conv")
    assert "head/kernel" in debugger.names("head")


def bad_net():
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential(
        [mlkit.Input((3,)), layers.Dense(4, activation="relu"), layers.Lambda(ops.log, name="bad"), layers.Dense(1)], name="net"
    )
    model.compile("sgd", "mse")
    return model


def test_the_first_value_that_is_not_finite():
    model = bad_net()
    debugger = mlkit.debug(model, np.ones((5, 3), "float32"), np.zeros((5, 1)))
    debugger.set("x", np.array([[1, 1, 1]] * 2 + [[0, 0, 0]] + [[1, 1, 1]] * 2))
    debugger.break_on(when="nonfinite")
    debugger.go()
    assert (debugger.layer, debugger.op) == ("net/bad", "log")
    assert "sample" in debugger.stopped
    before = values(model)
    assert equal(before, values(model))


def test_data_that_are_not_finite_are_named():
    model, (x, y) = conv_net(), photos()
    x[2, 0, 0, 0] = np.nan
    debugger = mlkit.debug(model, x, y)
    debugger.break_on(when="nonfinite")
    assert debugger.go().stopped == "The data are not finite: x, row 2 of the batch."


def test_a_nan_in_fit_offers_it():
    model = bad_net()
    with pytest.raises(ValueError, match="pass a batch"):
        mlkit.debug(model)
    model.fit(
        np.zeros((8, 3)), np.zeros((8, 1)), batch_size=4, verbose=0, callbacks=[mlkit.callbacks.TerminateOnNaN()], check=False
    )
    debugger = mlkit.debug(model)
    assert (debugger.layer, debugger.op) == ("net/bad", "log")


def test_others_who_change_weights_meanwhile():
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y)
    debugger.step(3)
    model.train_on_batch(x, y)
    trained = values(model)
    with pytest.raises(RuntimeError, match="changed by others"):
        debugger.finish()
    assert equal(values(model), trained)


def test_test_and_predict_steps_and_what_cannot_be_traced():
    model, (x, y) = conv_net(), photos()
    assert mlkit.debug(model, x, y, step="test").finish()["loss"] == pytest.approx(model.test_on_batch(x, y)[0])
    assert np.allclose(mlkit.debug(model, x, step="predict").finish(), model.predict(x, verbose=0), atol=1e-6)
    with pytest.raises(ValueError, match="step"):
        mlkit.debug(model, x, y, step="fit")

    class Looks(mlkit.Model):
        def train_step(self, data):
            return {"loss": 1.0 if float(ops.sum(data[0])) > 0 else 0.0}

    eager = Looks(model.inputs, model.outputs)
    eager.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    with pytest.raises(TypeError, match="no value"):
        mlkit.debug(eager, x, y)


def test_values_that_were_dropped_are_computed_anew(monkeypatch):
    monkeypatch.setattr("mlkit.debugger.values.KEPT_BYTES", 1 << 10)
    model, (x, y) = conv_net(), photos()
    debugger = mlkit.debug(model, x, y)
    first = debugger.go("norm").value("conv")
    debugger.go("loss")
    assert np.array_equal(debugger.value("conv"), first)
    monkeypatch.undo()
    whole = mlkit.debug(conv_net(), x, y)
    assert debugger.finish() == whole.finish()


def test_several_inputs_and_sample_weights_have_names():
    a, b = mlkit.Input((2,), name="a"), mlkit.Input((2,), name="b")
    model = mlkit.Model({"a": a, "b": b}, layers.Dense(1, name="out")(layers.Add(name="sum")([a, b])))
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    data = {"a": np.ones((3, 2)), "b": 2 * np.ones((3, 2))}
    debugger = mlkit.debug(model, data, np.zeros((3, 1)), np.array([1.0, 0.0, 2.0]))
    assert np.array_equal(debugger.value("x/b"), data["b"])
    assert debugger.value("sample_weight").tolist() == [1, 0, 2]
    assert np.array_equal(debugger.go("sum").value("sum"), 3 * np.ones((3, 2)))


def test_custom_gradients_are_the_steps_own():
    @mlkit.custom_gradient
    def reversed_gradient(x):
        return x * 1.0, lambda g: -g

    model = mlkit.Sequential(
        [mlkit.Input((2,)), layers.Dense(2, name="first"), layers.Lambda(reversed_gradient), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x, y = np.ones((2, 2)), np.zeros((2, 1))
    debugger = mlkit.debug(model, x, y)
    with mlkit.GradientTape() as tape:
        loss = ops.mean(ops.square(model(x)))
    expected = tape.gradient(loss, model.layers[0].kernel)
    assert np.allclose(debugger.gradient("first/kernel"), expected, atol=1e-6)
