"""Copies of a model's architecture: by layers, by functions of them, on other inputs, and as JSON."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

X = np.ones((2, 4), "float32")


def sequential():
    return mlkit.Sequential([mlkit.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")])


def functional():
    x = mlkit.Input((4,))
    return mlkit.Model(x, layers.Dense(2, name="b")(layers.Dense(3, name="a")(x)))


class Own(mlkit.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dense = units, layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def again(layer):
    return type(layer).from_config(layer.get_config())


@pytest.mark.parametrize("make", [sequential, functional])
def test_layers_are_new_and_have_weights_of_their_own(make):
    model = make()
    clone = mlkit.models.clone_model(model)
    assert type(clone) is type(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert not set(map(id, clone.variables)) & set(map(id, model.variables))
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(X).numpy(), model(X).numpy())


@pytest.mark.parametrize("make", [sequential, functional])
def test_on_another_input(make):
    x = mlkit.Input((4,), name="other")
    clone = mlkit.models.clone_model(make(), input_tensors=x)
    assert clone.inputs[0] is x
    assert clone(X).shape == (2, 2)


@pytest.mark.parametrize("inner", [sequential, functional])
def test_functions_see_each_layer_within(inner):
    x, seen = mlkit.Input((4,)), []
    model = mlkit.Model(x, inner()(x))

    def noted(layer):
        seen.append(layer.name)
        return again(layer)

    clone = mlkit.models.clone_model(model, clone_function=noted, recursive=True)
    assert sorted(seen) == ["a", "b"]
    assert clone(X).shape == (2, 2)


def test_calls_are_made_by_a_function():
    calls = []

    def call(layer, *args, **kwargs):
        calls.append(layer.name)
        return layer(*args, **kwargs)

    assert mlkit.models.clone_model(functional(), call_function=call)(X).shape == (2, 2)
    assert sorted(calls) == ["a", "b"]


def test_a_class_of_its_own_is_made_anew_from_its_config():
    assert mlkit.models.clone_model(Own(3))(X).shape == (2, 3)


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        (functional, {"input_tensors": X}, "must be KerasTensors"),
        (functional, {"layers": 1}, "unknown arguments"),
        (sequential, {"call_function": again}, "needs a functional model"),
        (lambda: Own(1), {"clone_function": again}, "need a functional or Sequential model"),
    ],
)
def test_what_is_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        mlkit.models.clone_model(make(), **arguments)


def test_two_inputs_where_there_is_one():
    with pytest.raises(ValueError, match="same structure as model.input"):
        mlkit.models.clone_model(functional(), input_tensors=[mlkit.Input((4,)), mlkit.Input((4,))])


@pytest.mark.parametrize("make", [sequential, functional, lambda: Own(2)])
def test_json(make):
    model = make()
    read = mlkit.models.model_from_json(model.to_json(indent=1), custom_objects={"Own": Own})
    assert type(read) is type(model)
    assert read(X).shape == model(X).shape == (2, 2)
