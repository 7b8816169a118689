"""Plain-data forms of objects: equal to Keras's, read back on either side, and nothing else read."""

import importlib
import inspect
import json
import os
import pickle

import numpy as np
import pytest

import mlkit
from mlkit import ops, saving
from mlkit.objects import registry

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

NAMESPACES = ("initializers", "regularizers", "constraints", "losses", "metrics", "optimizers", "optimizers.schedules")
ARGUMENTS = {
    "IoU": (2, [0]), "MeanIoU": (2,), "OneHotIoU": (2, [0]), "OneHotMeanIoU": (2,), "PrecisionAtRecall": (0.5,),
    "RecallAtPrecision": (0.5,), "SensitivityAtSpecificity": (0.5,), "SpecificityAtSensitivity": (0.5,),
    "CosineDecay": (0.5, 10), "CosineDecayRestarts": (0.5, 10), "ExponentialDecay": (0.5, 10, 0.5),
    "InverseTimeDecay": (0.5, 10, 0.5), "PiecewiseConstantDecay": ([1], [0.5, 0.25]), "PolynomialDecay": (0.5, 10),
    "L1": (0.5,), "OrthogonalRegularizer": (0.5,),
}  # fmt: skip
ABSTRACT = "Initializer Regularizer Constraint Loss Metric Optimizer LearningRateSchedule MeanMetricWrapper LossScaleOptimizer "
ABSTRACT += "MultiOptimizer OptimizerMap"
CASES = [
    (namespace, name)
    for namespace in NAMESPACES
    for name, cls in vars(importlib.import_module(f"keras.{namespace}")).items()
    if inspect.isclass(cls) and name == cls.__name__ and name not in ABSTRACT.split()
]


@pytest.mark.parametrize("namespace, name", CASES)
def test_forms_are_those_of_keras(namespace, name):
    """Ours equals Keras's, apart from automatic names; each side reads the other's."""
    make = [getattr(importlib.import_module(f"{library}.{namespace}"), name) for library in ("mlkit", "keras")]
    ours, theirs = (cls(*ARGUMENTS.get(name, ())) for cls in make)
    form, keras_form = json.loads(json.dumps(saving.serialize_keras_object(ours))), keras.saving.serialize_keras_object(theirs)
    keras_form = json.loads(json.dumps(keras_form))
    assert type(saving.deserialize_keras_object(keras_form)) is make[0]
    assert type(keras.saving.deserialize_keras_object(form)) is make[1]
    for f in (form, keras_form):
        f["config"].pop("name", None)
    # where Keras forgets an argument (the gain of Identity), ours has it too
    assert form == {**keras_form, "config": {**form["config"], **keras_form["config"]}}


@pytest.mark.parametrize(
    "value",
    [
        None, "text", 3, 2.5, True, b"bytes", [1, "a", None], {"a": [1, 2], "b": {"c": 3}}, slice(None, 20, 1), slice(1, None),
        np.arange(6.0).reshape(2, 3), np.array([1, 2], "int8"), np.float32(1.5), np.array(3), Ellipsis, np.dtype("float32"),
    ],
)  # fmt: skip
def test_values_come_back_and_are_written_as_keras_does(value):
    form = saving.serialize_keras_object(value)
    if not isinstance(value, np.dtype):
        assert form == keras.saving.serialize_keras_object(value)
    again = saving.deserialize_keras_object(json.loads(json.dumps(form)))
    assert saving.serialize_keras_object(again) == form


def test_tensors_and_tuples():
    form = saving.serialize_keras_object({"t": ops.arange(3), "pair": (1, (2, 3))})
    assert form["t"] == {"class_name": "__tensor__", "config": {"value": [0, 1, 2], "dtype": "int32"}}
    assert form["pair"] == (1, (2, 3))
    assert saving.deserialize_keras_object(form)["t"].numpy().tolist() == [0, 1, 2]


@saving.register_keras_serializable("tests")
class Holder:
    def __init__(self, held=None):
        self.held = held

    def get_config(self):
        return {"held": self.held}

    @classmethod
    def from_config(cls, config):
        return cls(saving.deserialize_keras_object(config["held"]))


def shout(x):
    return x


def test_registered_objects():
    form = saving.serialize_keras_object(Holder([1, Holder("a")]))
    assert form["registered_name"] == "tests>Holder"
    assert saving.deserialize_keras_object(form).held[1].held == "a"
    assert saving.get_registered_name(Holder) == "tests>Holder"
    assert saving.get_registered_object("tests>Holder") is Holder is saving.get_custom_objects()["tests>Holder"]


def test_functions_go_by_name():
    form = saving.serialize_keras_object(shout)
    assert form == {"module": "builtins", "class_name": "function", "config": "shout", "registered_name": "function"}
    with pytest.raises(TypeError, match="Could not locate function 'shout'"):
        saving.deserialize_keras_object(form)
    assert saving.deserialize_keras_object(form, custom_objects={"shout": shout}) is shout
    with saving.custom_object_scope({"shout": shout}):
        assert saving.deserialize_keras_object([form]) == [shout]
    assert saving.deserialize_keras_object({**form, "config": "relu"}).__name__ == "relu"


def test_what_occurs_twice_is_one_object_again():
    shared = Holder(1)
    with registry.object_sharing("write"):
        form = json.loads(json.dumps(saving.serialize_keras_object([shared, Holder(shared)])))
    assert form[0]["shared_object_id"] == form[1]["config"]["held"]["shared_object_id"]
    with registry.object_sharing("read"):
        a, b = saving.deserialize_keras_object(form)
    assert b.held is a


def test_one_lambda_at_most():
    with registry.object_sharing("write"):
        saving.serialize_keras_object(lambda x: x)
        with pytest.raises(ValueError, match="several lambdas"):
            saving.serialize_keras_object(lambda x: x + 1)


def test_saving_a_function_named_like_one_of_mlkit_warns():
    def relu(x):
        return x

    with pytest.warns(UserWarning, match="mlkit has a function of that name"):
        saving.serialize_keras_object(relu)


L2 = {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.5}}
REFUSED = {
    "unknown class": ({**L2, "class_name": "L7"}, TypeError, "Could not locate class 'L7'"),
    "foreign module": ({**L2, "module": "os", "class_name": "system"}, TypeError, "Could not locate"),
    "private": ({**L2, "class_name": "__builtins__"}, TypeError, "Could not locate"),
    "module of a namespace": ({**L2, "module": "keras.losses", "class_name": "ops"}, TypeError, "Could not locate"),
    "function of a namespace": ({**L2, "class_name": "deserialize"}, TypeError, "Could not locate"),
    "registered name": ({**L2, "registered_name": "builtins.eval"}, ValueError, "resolved to a Keras built-in"),
    "unknown argument": ({**L2, "config": {"l3": 1}}, TypeError, "could not be made from its config"),
    "config a list": ({**L2, "config": [1]}, TypeError, "Expected 'config' to be a dict"),
    "function by a list": ({"class_name": "function", "config": ["a"]}, TypeError, "non-null str"),
    "byte code": ({"class_name": "__lambda__", "config": {"value": "4wAA"}}, ValueError, "arbitrary code execution"),
    "no plain data": ({1, 2}, TypeError, "Could not parse"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    config, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        saving.deserialize_keras_object(config)


def test_names_of_mlkit_cannot_be_given_another_meaning():
    class L2Like(Holder):
        pass

    with pytest.raises(ValueError, match="cannot be replaced by custom_objects"):
        saving.deserialize_keras_object(L2, custom_objects={"L2": L2Like})
    saving.get_custom_objects()["L2"] = L2Like
    try:
        assert saving.deserialize_keras_object(L2).l2 == 0.5
    finally:
        del saving.get_custom_objects()["L2"]


def test_no_switch_makes_it_run_code():
    with pytest.raises(ValueError, match="safe_mode=False is not supported"):
        saving.deserialize_keras_object(L2, safe_mode=False)


def test_errors_say_where():
    with pytest.raises(TypeError) as caught:
        saving.deserialize_keras_object({"a": [1, {**L2, "config": {"l3": 1}}]})
    assert caught.value.__notes__ == ["at a[1].config of the config being read"]


def test_objects_without_config_cannot_be_saved():
    with pytest.raises(TypeError, match="no get_config"):
        saving.serialize_keras_object(object())
    with pytest.raises(ValueError, match="no get_config"):
        saving.register_keras_serializable()(object)


def test_errors_of_configs_are_of_both_kinds():
    """Keras's `from_config` raises TypeError whatever is wrong, and constructors ValueError."""
    for config in ({"units": 3.5}, {"units": 3, "unit": 4}):
        with pytest.raises(TypeError) as error:
            mlkit.layers.Dense.from_config(config)
        assert isinstance(error.value, ValueError)
    with pytest.raises(ValueError, match="units"):
        mlkit.layers.LSTM.from_config({"units": -1})


class Wrapping(mlkit.layers.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def test_arguments_that_nobody_deserialized_are_named(tmp_path):
    x = mlkit.Input((3,))
    mlkit.Model(x, Wrapping(mlkit.layers.Dense(2))(x)).save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="from_config.*deserialize_keras_object") as error:
        mlkit.saving.load_model(tmp_path / "m.keras", custom_objects={"Wrapping": Wrapping})
    assert isinstance(error.value, mlkit.saving.ModelFileError)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_layers_are_made_with_custom_objects():
    class Cell(mlkit.layers.SimpleRNNCell):
        pass

    config = mlkit.layers.RNN(Cell(2)).get_config()
    with pytest.raises(TypeError, match="Cell"):
        mlkit.layers.RNN.from_config(config)
    again = mlkit.layers.RNN.from_config(config, custom_objects={"Cell": Cell})
    assert type(again.cell) is Cell
    assert again.get_config() == config
    with pytest.raises(ValueError, match="custom_objects"):
        mlkit.layers.Lambda.from_config({"function": "f"}, safe_mode=False)
