"""StableHLO programs of models: read back by JAX alone, for any batch."""

import jax.export
import numpy as np
import pytest

import mlkit
from mlkit import layers


def network(kind):
    mlkit.utils.set_random_seed(0)
    if kind == "images":
        x = mlkit.Input((8, 8, 3))
        h = layers.MaxPooling2D()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x)))
        return mlkit.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(h)))
    if kind == "tokens":
        return mlkit.Sequential(
            [mlkit.Input((7,), dtype="int32"), layers.Embedding(10, 8), layers.LSTM(5, return_sequences=True), layers.GRU(3)]
        )
    if kind == "loop":  # whose steps cut up arrays of the batch
        return mlkit.Sequential([mlkit.Input((5, 3)), layers.RNN(layers.LSTMCell(4))])
    a, b = mlkit.Input((6, 8)), mlkit.Input((6, 8))
    return mlkit.Model([a, b], [layers.MultiHeadAttention(2, 4)(a, b), layers.Add()([a, b])])


@pytest.mark.parametrize("kind", ["images", "tokens", "loop", "two"])
def test_it_answers_as_the_model_for_any_batch(kind, tmp_path, capsys):
    model, path = network(kind), tmp_path / "m.stablehlo"
    model.export(path)
    assert "XLA differs by" in capsys.readouterr().out
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    for n in (1, 4):
        rng = np.random.default_rng(n)
        arrays = [(rng.random((n, *t.shape[1:])) * (10 if kind == "tokens" else 1)).astype(t.dtype) for t in model.inputs]
        wanted = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
        for found, w in zip(program.call(*arrays), wanted if isinstance(wanted, list) else [wanted]):
            np.testing.assert_allclose(found, w, rtol=1e-4, atol=1e-5)


def test_a_program_for_one_platform(tmp_path):
    network("images").export(tmp_path / "m.bin", format="stablehlo", platforms=("cpu",), verbose=False)
    assert jax.export.deserialize(bytearray((tmp_path / "m.bin").read_bytes())).platforms == ("cpu",)
