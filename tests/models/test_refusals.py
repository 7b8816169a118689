"""What a model's smaller doors refuse, in words, and what they let through."""

import io
import json
import zipfile

import numpy as np
import pytest

import mlkit
from mlkit import layers, saving
from mlkit.models import model_from_json

X, Y = np.ones((4, 3), "float32"), np.zeros((4, 2), "float32")


def net(name="net"):
    return mlkit.Sequential(
        [mlkit.Input((3,), name="x"), layers.Dense(4, name="first"), layers.Dense(2, name="second")], name=name
    )


def two(optional=False):
    a, b = mlkit.Input((3,), name="a"), mlkit.Input((3,), name="b", optional=optional)
    return mlkit.Model([a, b], [layers.Dense(2, name="p")(a), layers.Dense(2, name="q")(a)], name="two")


def trained(model, *loss, **options):
    model.compile("sgd", *loss, **options)
    return model


def same_paths():
    part = layers.Dense(2, name="same")
    other = layers.Dense(2, name="same")
    x = mlkit.Input((3,))
    inner = mlkit.Model(x, other(x), name="inner")
    model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(3)])
    model.parts = [part, inner]
    part.build((None, 3))
    return model


GIVES_TEXT = type("GivesText", (mlkit.Model,), {"call": lambda self, x: "yes"})
SYMBOL = mlkit.KerasTensor((None, 3))

CALLS = {
    "neither name nor place": (lambda: net().get_layer(), "get_layer: pass either `name` or `index`"),
    "no such place": (lambda: net().get_layer(index=7), "there is no layer 7; the model has 2 layers"),
    "no such layer": (lambda: net().get_layer("third"), r"there is no layer 'third'. Layers: \['first', 'second'\]"),
    "one end of a range": (lambda: net().summary(layer_range=["first"]), "`layer_range` must be two layer names"),
    "a range of others": (lambda: net().summary(layer_range=["third", "second"]), "matches no layers"),
    "values in another form": (
        lambda: net().get_state_tree("lists"),
        "`value_format` must be 'backend_tensor' or 'numpy_array'",
    ),
    "another kind of variables": (lambda: net().set_state_tree({"weights": {}}), "unknown kind of variables 'weights'"),
    "another library": (lambda: mlkit.verify(trained(net(), "mse"), X, Y, against="torch"), "`against` must be one of"),
    "no layers": (lambda: mlkit.Sequential([3]), "only layers can be added, but got 3 of type int"),
    "an input in the middle": (
        lambda: mlkit.Sequential([layers.Dense(2), mlkit.Input((3,))]),
        "an Input must be the first layer",
    ),
    "inputs that are none": (lambda: mlkit.Model(X, SYMBOL), "`inputs` must be KerasTensors made by Input"),
    "a function of arrays": (lambda: mlkit.Function(X, SYMBOL), "`inputs` must be KerasTensors"),
    "a function of one": (lambda: mlkit.Function(SYMBOL, SYMBOL + 1)([X, X]), r"expected 1 input\(s\), but got 2"),
    "one input too few": (lambda: two()([X]), r"has 2 input\(s\) \['a', 'b'\], but 1 were given"),
    "an input by another name": (lambda: two()({"a": X, "c": X}), r"but \['b'\] are missing among \['a', 'c'\]"),
    "nothing for an input": (lambda: two()([X, None]), "the input 'b' is None, but it is not optional"),
    "a metric that is none": (
        lambda: trained(net(), "mse", metrics=[3]),
        "a metric must be a name, a Metric or a function, but got 3",
    ),
    "one metric for two": (
        lambda: trained(two(), "mse", metrics=["mae"]).fit([X, X], [Y, Y], verbose=0),
        "has 1 entries|`metrics`",
    ),
    "one loss for two": (
        lambda: trained(two(), ["mse"]).fit([X, X], [Y, Y], verbose=0),
        "`loss` has 1 entries, but the model has 2",
    ),
    "targets for one": (
        lambda: trained(two(), "mse").fit([X, X], [Y], verbose=0),
        "1 arrays were given, but the model has 2 outputs",
    ),
    "no target for one": (
        lambda: trained(two(), "mse").fit([X, X], {"p": Y}, verbose=0),
        "No targets were given for output 'q'",
    ),
    "a metric without target": (
        lambda: trained(two(), {"p": "mse"}, metrics={"q": ["mae"]}).fit([X, X], {"p": Y}, verbose=0),
        "needs targets for output 'q', but `y` has none",
    ),
    "no targets": (lambda: trained(net(), "mse").fit(X, verbose=0), "the model has a loss, but no targets `y` were given"),
    "unknown options": (lambda: trained(net(), "mse").evaluate(X, Y, verbose=0, often=True), r"unknown arguments \['often'\]"),
    "text": (lambda: GIVES_TEXT().predict(X, verbose=0), "`call` must return tensors, but returned 'yes'"),
    "memory of unknown sizes": (lambda: unknown_sizes().memory_report(batch_size=2), "the sizes of the inputs .* are unknown"),
    "a clone of a class": (lambda: mlkit.models.clone_model(GIVES_TEXT(), clone_function=lambda x: x), "need a functional"),
    "a clone with values": (
        lambda: mlkit.models.clone_model(two(), input_tensors=[X, X]),
        "`input_tensors` must be KerasTensors",
    ),
    "a place on the web": (lambda: net().save("hf://someone/net"), "Hugging Face"),
    "from the web": (lambda: saving.load_model("hf://someone/net.keras"), "are not fetched"),
}


def unknown_sizes():
    return trained(mlkit.Sequential([mlkit.Input((None, 3)), layers.Dense(2)]), "mse")


@pytest.mark.parametrize("name", CALLS)
def test_what_is_refused(name):
    call, words = CALLS[name]
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=words):
        call()


def test_an_optional_input_may_be_left_out():
    assert two(optional=True)([X, None])[0].shape == (4, 2)


def test_there_is_nothing_to_predict():
    with pytest.raises(ValueError, match="predict: the data has no batches"), pytest.warns(UserWarning, match="ran out"):
        net().predict(iter([]), verbose=0)


def test_part_of_a_summary_and_its_columns():
    lines = []
    net().summary(layer_range=["sec", "second"], print_fn=lines.append)
    assert "second" in "\n".join(lines)
    assert "first" not in "\n".join(lines)
    for options, width in (
        (dict(line_length=34), 34),
        (dict(positions=[0.3, 0.6, 1.0]), 88),
        (dict(positions=[12, 30, 40]), 40),
    ):
        lines.clear()
        net().summary(print_fn=lines.append, **options)
        text = "\n".join(lines)
        assert len(text.splitlines()[1]) == width, "the line below the name"
        assert ("…" in text) == (width < 88), "what is too long for its column is cut"


def test_sizes_of_parameters_are_readable():
    lines = []
    mlkit.Sequential([mlkit.Input((600,)), layers.Dense(600)]).summary(print_fn=lines.append)
    assert "Total params: 360,600 (1.38 MB)" in "\n".join(lines)


def test_a_sequential_of_functions_and_models():
    """A function is a Lambda, a model that knows its input brings it, a shape may be that of the first layer."""
    model = mlkit.Sequential([net("inner"), lambda x: x * 2])
    assert model.input_shape == (None, 3)
    assert [type(layer).__name__ for layer in model.layers] == ["Sequential", "Lambda"]
    np.testing.assert_allclose(model(X), 2 * model.layers[0](X))
    assert mlkit.Sequential([layers.Dense(2, input_shape=(3,))]).output_shape == (None, 2)


def test_a_sequential_of_several_inputs():
    model = mlkit.Sequential([layers.Add(), layers.Dense(2)])
    model.build([(None, 3), (None, 3)])
    assert model([X, X]).shape == (4, 2)
    again = mlkit.Sequential([layers.Add(), layers.Dense(2)])
    assert again([X, X]).shape == (4, 2)


def test_json_brings_the_architecture_back():
    model = trained(net(), "mse")
    again = model_from_json(model.to_json(indent=1))
    assert again.to_json() == model.to_json()
    assert json.loads(model.to_json())["config"]["name"] == "net"


def test_crossentropy_is_chosen_by_the_targets():
    for units, activation, loss, y, name in (
        (1, "sigmoid", "binary_crossentropy", np.array([0, 1, 0, 1.0]), "BinaryCrossentropy"),
        (3, "softmax", "sparse_categorical_crossentropy", np.array([0, 1, 2, 1]), "SparseCategoricalCrossentropy"),
        (3, "softmax", "categorical_crossentropy", np.eye(3)[[0, 1, 2, 1]], "CategoricalCrossentropy"),
    ):
        model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(units, activation=activation)])
        trained(model, loss, metrics=["crossentropy"])
        x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
        history = model.fit(x, y, verbose=0, check=False).history
        assert history["crossentropy"][0] == pytest.approx(history["loss"][0], rel=1e-5)
        assert (
            type(model.metrics[-1].metrics[0] if hasattr(model.metrics[-1], "metrics") else model.metrics[-1]).__name__ == name
        )


@pytest.mark.parametrize("how", ["no archive", "cut off", "another form", "another model"])
def test_backups_that_cannot_be_gone_on_with(how, tmp_path):
    def fit(model, folder=tmp_path):
        backup = mlkit.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        return model.fit(X, Y, epochs=1, verbose=0, callbacks=[backup], check=False)

    fit(trained(net(), "mse"))
    (path,) = tmp_path.glob("*.npz")
    words = "is damaged, or no backup"
    if how == "no archive":
        path.write_bytes(b"none")
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:200])
    elif how == "another form":
        with zipfile.ZipFile(path) as z:
            members = {n: z.read(n) for n in z.namelist()}
        arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(data)) for name, data in members.items()}
        text = arrays["state"].tobytes().replace(b'"version": ', b'"version": 9')
        np.savez(path, **{**arrays, "state": np.frombuffer(text, "uint8")})
        words = "was written by another version of mlkit"
    model = trained(net(), "mse")
    if how == "another model":
        model = trained(mlkit.Sequential([mlkit.Input((3,)), layers.Dense(2)]), "mse")
        words = "is of another model: variable 0 is .* here and .* there"
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        fit(model)
    assert all(map(np.array_equal, before, model.get_weights()))
