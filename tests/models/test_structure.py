"""Models given inputs in another structure than theirs, their state as a tree, and what a Sequential refuses."""

import json
import warnings

import numpy as np
import pytest

import mlkit
from mlkit import layers

LEFT, RIGHT = np.full((2, 3), 2.0, "float32"), np.ones((2, 3), "float32")


def difference(names):
    left, right = mlkit.Input((3,), name=names[0]), mlkit.Input((3,), name=names[1])
    return mlkit.Model({names[0]: left, names[1]: right}, left - right)


def test_other_structures_are_warned_of_once():
    with pytest.warns(UserWarning, match="structure of `inputs` doesn't match") as said:
        difference("ab").predict([LEFT, RIGHT], verbose=0)
    assert sum("structure of `inputs`" in str(w.message) for w in said) == 1


def test_tuples_and_lists_are_one_structure():
    inputs = [mlkit.Input((3,)), mlkit.Input((3,))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mlkit.Model(inputs, mlkit.layers.Add()(inputs))((LEFT, RIGHT))


def test_a_list_for_a_dict_in_another_order_is_an_error():
    with pytest.raises(ValueError, match="structure of `inputs` doesn't match"):
        difference("ba")([LEFT, RIGHT])


def test_clones_start_from_inputs_of_the_same_structure():
    with pytest.raises(ValueError, match="same structure as model.input"):
        mlkit.models.clone_model(difference("ab"), input_tensors=(mlkit.Input((3,)), mlkit.Input((3,))))


def test_the_state_tree_can_be_written_back():
    model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dense(2, name="dense")], name="net")
    model.compile("sgd", "mse")
    state = model.get_state_tree("numpy_array")
    assert set(state) == {"trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables"}
    dense = state["trainable_variables"]["net"]["dense"]
    dense["bias"] = dense["bias"] + 3
    model.set_state_tree(state)
    np.testing.assert_array_equal(model.layers[0].bias.numpy(), [3, 3])
    with pytest.raises(ValueError, match="no variable 'net/other'"):
        model.set_state_tree({"trainable_variables": {"net": {"other": 1.0}}})


def test_a_sequential_without_known_inputs_has_no_shapes():
    model = mlkit.Sequential([mlkit.layers.Dense(2)])
    assert not any(hasattr(model, name) for name in ("inputs", "outputs", "input_shape", "output_shape"))


def test_a_sequential_refuses_calls_without_layers_and_other_shapes():
    with pytest.raises(ValueError, match="no layers"):
        mlkit.Sequential()(RIGHT)
    model = mlkit.Sequential([mlkit.Input((3,), batch_size=2), mlkit.layers.Dense(2)])
    model.build((None, 3))
    with pytest.raises(ValueError, match="already been configured"):
        model.build((2, 4))


def test_a_sequential_names_the_layer_that_needs_two_inputs():
    class Two(mlkit.Layer):
        def call(self, x, y):
            return x + y

    with pytest.raises(ValueError, match=r"single required positional argument.*\['x', 'y'\]"):
        mlkit.Sequential([mlkit.Input((3,)), Two()])


def test_a_function_tells_its_outputs_specs():
    x = mlkit.Input((3,))
    function = mlkit.Function([x], {"double": x * 2, "rows": mlkit.ops.sum(x, axis=1)})
    spec = function.compute_output_spec([mlkit.Input((3,), batch_size=5)])
    assert {k: t.shape for k, t in spec.items()} == {"double": (5, 3), "rows": (5,)}
    assert function.compute_output_shape([(None, 3)]) == {"double": (None, 3), "rows": (None,)}


def test_a_model_from_the_middle_of_another_holds_the_layers_after_it(tmp_path):
    inputs = mlkit.Input((4,))
    middle = layers.Dense(3, name="dense")(inputs)
    doubled = layers.Dropout(0.1, name="drop")(middle) * 2.0
    model = mlkit.Model(inputs, layers.Dense(2, name="head")(doubled))
    head = mlkit.Model(middle, model.output)
    assert [layer.name for layer in head.layers][1:] == ["drop", "head"]
    assert [id(v) for v in head.trainable_variables] == [id(v) for v in model.get_layer("head").weights]
    x = np.ones((2, 4), "float32")
    assert np.allclose(head(mlkit.Model(inputs, middle)(x)), model(x))
    lines = []
    model.summary(print_fn=lines.append)
    (row,) = [line for line in lines[0].splitlines() if line.startswith("drop")]
    assert row.split()[-2:] == ["0", "dense"], "the call in the other model is not shown"
    head.compile("sgd", "mse")
    before = model.get_layer("head").get_weights()
    head.fit(np.ones((2, 3), "float32"), np.ones((2, 2), "float32"), verbose=0)
    assert not np.array_equal(before[0], model.get_layer("head").get_weights()[0])
    head.save(tmp_path / "head.keras")
    assert len(mlkit.models.load_model(tmp_path / "head.keras").weights) == 2


def test_a_sequential_that_saw_one_size_takes_others_its_layers_take():
    model = mlkit.Sequential([mlkit.layers.Conv2D(2, 3), mlkit.layers.GlobalAveragePooling2D()])
    assert model(np.ones((2, 8, 8, 3))).shape == model(np.ones((2, 5, 9, 3))).shape == (2, 2)
    assert model.predict(np.ones((2, 6, 6, 3)), verbose=0).shape == (2, 2)
    with pytest.raises(ValueError, match="conv2d.*expected size 3 along axis -1"):
        model(np.ones((2, 8, 8, 4)))
    stated = mlkit.Sequential([mlkit.Input((8, 8, 3)), mlkit.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"expects shape \(None, 8, 8, 3\)"):
        stated(np.ones((2, 5, 9, 3)))


def test_a_layer_that_is_a_model_too_keeps_its_options():
    """Each of its bases has an `__init__`, and both come to that of Layer."""

    class TrainedDense(mlkit.Model, layers.Dense):
        def __init__(self, units):
            layers.Dense.__init__(self, units, kernel_initializer="ones", bias_regularizer="l2")
            mlkit.Model.__init__(self)

        call = layers.Dense.call
        build = layers.Dense.build

    model = TrainedDense(2)
    np.testing.assert_array_equal(model.predict(RIGHT, verbose=0), [[3, 3], [3, 3]])
    assert isinstance(model.bias_regularizer, mlkit.regularizers.L2)


def test_sizes_may_be_integers_of_numpy():
    size = np.int64(3)
    x = mlkit.Input((size,), batch_size=np.int64(2))
    model = mlkit.Model(x, layers.Dense(size)(x))
    assert model.output_shape == (2, 3)
    assert mlkit.Input(size).shape == (None, 3)
    assert mlkit.Model.from_config(json.loads(json.dumps(model.get_config()))).input_shape == (2, 3)
    assert mlkit.Variable("zeros", shape=(size, 2)).shape == (3, 2)


def test_layers_added_one_by_one_are_connected_once():
    model = mlkit.Sequential([mlkit.Input((3,))])
    parts = [layers.Dense(4, activation="relu"), layers.Dropout(0.5), layers.Dense(2)]
    for layer in parts:
        model.add(layer)
        assert model.output_shape == (None, *layer.output.shape[1:])
    assert [len(layer._inbound_nodes) for layer in parts] == [1, 1, 1]
    expected = parts[2](parts[0](RIGHT))
    np.testing.assert_array_equal(model.predict(RIGHT, verbose=0), expected)
    model.pop()
    model.add(layers.Dense(1))
    assert model.output_shape == (None, 1)
    with pytest.raises(ValueError, match="two layers have the name"):
        model.add(layers.Dense(1, name=parts[0].name))
    with pytest.raises(ValueError, match="two layers have the name"):
        model.add(layers.Dense(1, name=model.inputs[0].name))


def test_a_layer_that_cannot_be_added_is_not_there():
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(3)])
    before, answers = model.layers, model.predict(np.ones((2, 4)), verbose=0)
    with pytest.raises(ValueError, match="conv"):
        model.add(layers.Conv2D(2, 3, name="conv"))
    assert model.layers == before
    np.testing.assert_array_equal(model.predict(np.ones((2, 4)), verbose=0), answers)
    model.add(layers.Dense(2, name="conv"))
    assert model.output_shape == (None, 2)
