"""What users' own layers and models may do: compute with NumPy, compile in their own way, reset, freeze weights of their own."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, saving

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


class OnValues(layers.Layer):
    """Of NumPy, which knows no shapes without values."""

    def call(self, x):
        if not x.is_concrete:
            raise NotImplementedError("values only")
        return mlkit.ops.convert_to_tensor(np.sort(x.numpy(), axis=1))


def test_a_sequential_with_a_layer_that_needs_values():
    model = mlkit.Sequential([mlkit.Input((3,)), OnValues(), layers.Dense(2)])
    assert model(X).shape == (6, 2)
    np.testing.assert_allclose(model(X), model.layers[-1](np.sort(X, axis=1)), rtol=1e-5)


@saving.register_keras_serializable("user_code")
class OwnCompile(mlkit.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def compile(self, speed=0.1):
        super().compile(mlkit.optimizers.SGD(speed), "mse")

    def call(self, x):
        return self.dense(x)


def test_a_compile_of_ones_own_is_left_to_its_owner(tmp_path):
    model = OwnCompile()
    model.compile(speed=0.5)
    model.fit(X, X[:, :2], verbose=0)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="`compile\\(\\)` was not called as part of model loading.*OwnCompile overrides it"):
        again = saving.load_model(tmp_path / "m.keras")
    assert not again.compiled
    np.testing.assert_array_equal(again(X), model(X))
    assert mlkit.Sequential([mlkit.Input((3,)), layers.Dense(1)]).get_compile_config() == {}


def test_a_reset_of_ones_own_is_called_before_each_batch():
    class Counting(OwnCompile):
        resets = 0

        def reset_metrics(self):
            type(self).resets += 1
            super().reset_metrics()

    model = Counting()
    model.compile()
    for _ in range(3):
        model.train_on_batch(X, X[:, :2])
    assert Counting.resets >= 3


def test_the_steps_as_functions():
    """What they return is what the loops use."""
    model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    assert model.make_train_function() is model.make_train_function()
    assert model.make_test_function() is not model.make_test_function(force=True)
    found = model.make_predict_function()((X,))
    np.testing.assert_allclose(mlkit.tree.flatten(found)[0], model.predict(X, verbose=0), rtol=1e-6)


class Scaled(mlkit.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.scale = layers.Dense(2), self.add_weight((), "ones", name="scale")

    def call(self, x):
        return self.dense(x) * self.scale


def test_weights_of_the_models_own_are_frozen_and_freed():
    model = Scaled()
    model(X)
    model.freeze()
    assert model.trainable_weights == []
    model.unfreeze()
    assert {w.name for w in model.trainable_weights} == {"scale", "kernel", "bias"}


def test_a_name_that_two_layers_have():
    inner = lambda name: mlkit.Sequential([mlkit.Input((3,)), layers.Dense(3, name="same")], name=name)
    model = mlkit.Sequential([inner("one"), inner("two")])
    with pytest.raises(ValueError, match=r"has several layers 'same': \['one/same', 'two/same'\]. Give the path of one"):
        model.freeze("same")
    model.freeze("one/same")


def test_answers_and_profiles_show_themselves():
    model = mlkit.Sequential([mlkit.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax")])
    model.image_task = mlkit.models.ImageTask(["cat", "dog"], (8, 8))
    (answer,) = model.classify(np.zeros((1, 8, 8, 3), "uint8"))
    assert repr(answer).count("%") == 2
    assert "cat" in repr(answer)
    report = mlkit.profile(model, np.zeros((2, 8, 8, 3), "float32"), runs=1)
    lines = report.markdown().splitlines()
    assert any(set(line) <= set("|-: ") and "---" in line for line in lines)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 5), "uint8"), np.zeros((2, 8, 8, 8, 3), "uint8")])
def test_images_that_are_none(image):
    model = mlkit.Sequential([mlkit.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, "softmax")])
    model.image_task = mlkit.models.ImageTask(["cat", "dog"], (8, 8))
    with pytest.raises(ValueError, match="expected|array"):
        model.classify(image)


def test_outputs_of_a_dict_are_told_apart_by_name():
    class Two(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(1), layers.Dense(1)

        def call(self, x):
            return {"q": self.a(x), "p": self.b(x)}

    model = Two()
    model.compile("sgd", {"p": "mse", "q": "mae"}, metrics={"p": ["mae"]})
    y = {"q": X[:, :1], "p": X[:, 1:2]}
    found = model.evaluate(X, y, verbose=0, return_dict=True)
    predicted = model.predict(X, verbose=0)
    assert set(found) == {"loss", "p_loss", "q_loss", "p_mae"}
    assert found["p_loss"] == pytest.approx(np.mean((predicted["p"] - y["p"]) ** 2), rel=1e-5)
    assert found["q_loss"] == pytest.approx(np.mean(np.abs(predicted["q"] - y["q"])), rel=1e-5)


def test_the_scaling_of_losses_in_half_floats_is_put_around_once(tmp_path):
    """A saved model's optimizer is the user's own; compile() wraps it again."""
    mlkit.config.set_dtype_policy("mixed_float16")
    try:
        model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(2)])
        model.compile("sgd", "mse")
        model.fit(X, X[:, :2], verbose=0)
        assert model.get_compile_config()["optimizer"]["class_name"] == "SGD"
        model.save(tmp_path / "m.keras")
        again = saving.load_model(tmp_path / "m.keras")
    finally:
        mlkit.config.set_dtype_policy("float32")
    assert type(again.optimizer) is mlkit.optimizers.LossScaleOptimizer
    assert type(again.optimizer.inner_optimizer) is mlkit.optimizers.SGD
    assert float(again.optimizer.dynamic_scale) == float(model.optimizer.dynamic_scale)


def test_inputs_by_name_and_with_an_axis_to_spare():
    x = mlkit.Input((3,), name="a")
    model = mlkit.Model(x, layers.Dense(1)(x))
    expected = model.predict(X, verbose=0)
    np.testing.assert_array_equal(model.predict({"a": X}, verbose=0), expected)
    np.testing.assert_array_equal(model.predict(X[..., None], verbose=0), expected)
