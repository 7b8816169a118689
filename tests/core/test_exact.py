"""Exact programs compute, to the bit, what their ops compute one by one; docs name the passes that do not."""

import pathlib
import re

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.compiler.passes import PASSES
from mlkit.core.backend import get_backend

pytestmark = [pytest.mark.native("exact programs"), pytest.mark.compiled("programs")]


@pytest.fixture
def exact():
    before = mlkit.config.exact()
    mlkit.config.set_exact(True)
    yield
    mlkit.config.set_exact(before)


def bits(*arrays):
    return [(str(a.dtype), a.shape, a.tobytes()) for a in map(np.asarray, arrays)]


LAYERS = dict(
    images=[
        layers.Conv2D(8, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="gelu"),
    ],
    sequences=[
        layers.Embedding(20, 16),
        layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
        layers.LayerNormalization(),
        layers.GRU(9),
        layers.Dense(3),
    ],
)


def trained(kind, eager):
    """Weights, losses and predictions after a few steps."""
    mlkit.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 12, 12, 3)).astype("float32") if kind == "images" else rng.integers(0, 20, (40, 7))
    model = mlkit.Sequential([type(part).from_config(part.get_config()) for part in LAYERS[kind]])
    model.compile("adam", "mse", run_eagerly=eager)
    history = model.fit(x, rng.normal(size=(40, 3)).astype("float32"), batch_size=16, epochs=2, verbose=0)
    return bits(history.history["loss"], model.predict(x, verbose=0), *model.get_weights())


@pytest.mark.parametrize("kind", ["images", "sequences"])
def test_training(exact, kind):
    assert trained(kind, eager=True) == trained(kind, eager=False)


@pytest.mark.parametrize("shape", [(3, 4), (96, 96)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_special_values(exact, dtype, shape):
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1e-8, 6e4, 3e38, 1.0, -2.5, 0.1])
    x = ops.cast(np.resize(special, shape), dtype)

    def formulas(x):
        number = ops.cast(ops.cast(ops.full(x.shape, 0.1, dtype), "float64"), "float32")
        scaled = ops.sum(ops.transpose(x) * 1 + 0, axis=0) / 3
        return (
            x + 0,
            0 - x,
            ops.negative(-x),
            x * 0.1,
            x / 3,
            x / 1e-40,
            ops.cast(ops.cast(x, "bfloat16"), "float32"),
            number,
            scaled,
        )

    assert bits(*mlkit.function(formulas)(x)) == bits(*formulas(x))


def test_switching_traces_again():
    x = ops.convert_to_tensor(np.float32(-0.0))
    f = mlkit.function(lambda x: x + 0)
    before = mlkit.config.exact()
    try:
        mlkit.config.set_exact(False)
        f(x)
        mlkit.config.set_exact(True)
        assert bits(f(x)) == bits(x + 0)
        assert f.traces == 2
        mlkit.config.set_exact(False)
        f(x)
        assert f.traces == 2
    finally:
        mlkit.config.set_exact(before)
    with pytest.raises(TypeError, match="expected True or False"):
        mlkit.config.set_exact(1)


def test_docs_name_all_rounding_passes():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "how_it_works.md").read_text()
    text = text[text.index("There are two lists of passes") :].partition("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert named == [p.name for p in PASSES.values() if not p.exact]


def test_bodies_are_compiled_for_each_way_of_computing():
    """A body of a loop keeps its graph when the way of computing changes, not its program."""
    from mlkit.backends.native import control

    x = ops.convert_to_tensor(np.linspace(-4, 4, 20000, dtype="float32"))
    turn = mlkit.function(
        lambda x: ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, ops.tanh(y * 0.1) / 3.0), (0, x))[1]
    )
    body = next(call for call in turn.graph(x).calls if call.op.name == "while").params["body"]
    kinds = []
    for exact in (False, True, False):
        mlkit.config.set_exact(exact)
        try:
            kinds.append(control.program(get_backend("native"), body).exact)
        finally:
            mlkit.config.set_exact(False)
    assert kinds == [False, True, False]
    assert len(body.programs) == 2
