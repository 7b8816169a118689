"""Every function of mlkit.ops is written as the operation that Keras itself writes for it."""

import importlib
import inspect
import os

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.models.saving import op_names

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

MAKERS = "bartlett blackman empty eye hamming hanning identity kaiser ones tri zeros".split()
NOT_RECORDED = "shape is_tensor convert_to_numpy dtype custom_gradient".split()
NAMES = sorted(set(ops.__all__).difference(MAKERS, NOT_RECORDED, op_names._WITHOUT_CLASS))


@pytest.mark.parametrize("name", NAMES)
def test_names_and_parameters_are_those_of_keras(name):
    function = getattr(ops, name)
    module, class_name = op_names.class_of(function)
    cls = getattr(importlib.import_module(module), class_name)
    call = list(inspect.signature(cls.call).parameters.values())[1:]
    assert op_names.call_parameters(function) == [
        ("*" if p.kind is p.VAR_POSITIONAL else "") + p.name for p in call if p.kind is not p.VAR_KEYWORD
    ]
    options = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.name not in {c.name for c in call} and p.kind is not p.VAR_KEYWORD
    ]
    own = set(inspect.signature(cls.__init__).parameters)
    assert set(options) <= own
    assert op_names.function_of(module, class_name) is getattr(
        ops, {"abs": "absolute", "conj": "conjugate"}.get(name, function.__name__)
    )


def test_operations_that_call_functions_have_no_form():
    with pytest.raises(ValueError, match="ops.cond has no form in model files"):
        op_names.class_of(ops.cond)
    assert op_names.function_of("keras.src.ops.core", "WhileLoop") is None


def doubled(x):
    return x + x


def added(a, b):
    return a + b


def carried(total, x):
    return total + x, total * x


WITH_FUNCTIONS = {
    "map": lambda o, x: o.map(doubled, x),
    "vectorized_map": lambda o, x: o.vectorized_map(doubled, x),
    "scan": lambda o, x: o.scan(carried, o.zeros((3,)), x)[1],
    "associative_scan": lambda o, x: o.associative_scan(added, x),
    "switch": lambda o, x: o.switch(o.cast(o.sum(x) > 0, "int32"), [doubled, doubled], x),
}


@pytest.mark.parametrize("writer, reader", [(mlkit, keras), (keras, mlkit), (mlkit, mlkit)])
@pytest.mark.parametrize("name", WITH_FUNCTIONS)
def test_files_name_the_functions_that_operations_call(name, writer, reader, tmp_path):
    for library in (writer, reader):
        for function in (doubled, added, carried):
            library.saving.register_keras_serializable("test")(function)
    x = writer.Input((3,), batch_size=4)
    model = writer.Model(x, WITH_FUNCTIONS[name](writer.ops, x))
    model.save(tmp_path / "m.keras")
    again = reader.saving.load_model(tmp_path / "m.keras")
    values = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(again(values)), np.asarray(model(values)), rtol=1e-6)


def test_a_function_that_nobody_registered_is_named_by_who_loads():
    x = mlkit.Input((3,))
    config = mlkit.Model(x, ops.vectorized_map(lambda v: v + 1, x)).get_config()
    with pytest.raises(TypeError, match="Could not locate function '<lambda>'"):
        mlkit.Model.from_config(config)
    again = mlkit.Model.from_config(config, custom_objects={"<lambda>": lambda v: v + 2})
    np.testing.assert_array_equal(again(np.zeros((1, 3))).numpy(), 2)


def test_calls_come_back():
    x = keras.KerasTensor((2, 3))
    for function, args, kwargs in (
        (ops.mean, (x,), {"axis": 1, "keepdims": True}),
        (ops.clip, (x, 0.0), {"x_max": 1.0}),
        (ops.einsum, ("ij,jk->ik", x, x), {}),
        (ops.where, (x, 1.0, x), {}),
        (ops.concatenate, ([x, x],), {"axis": 1}),
        (ops.get_item, (x, (slice(None), 1)), {}),
    ):
        call, config = op_names.to_class_form(function, args, kwargs)
        if function is ops.get_item:
            call[1] = list(call[1])  # as JSON makes it
        args_again, kwargs_again = op_names.from_class_form(function, tuple(call), {}, config)
        signature = inspect.signature(function)
        one, other = signature.bind(*args, **kwargs), signature.bind(*args_again, **kwargs_again)
        one.apply_defaults()
        other.apply_defaults()
        assert one.arguments == other.arguments


def test_masks_that_a_layer_computes_are_saved(tmp_path):
    """They are operations of the graph, `convert_to_tensor` among them."""
    ids = mlkit.Input((6,), dtype="int32")
    words = mlkit.layers.Embedding(9, 4, mask_zero=True)(ids)
    model = mlkit.Model(ids, mlkit.layers.LSTM(3)(mlkit.layers.Attention()([words, words])))
    x = np.array([[1, 2, 3, 0, 0, 0], [4, 5, 0, 0, 0, 0]])
    model.save(tmp_path / "m.keras")
    again = mlkit.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
