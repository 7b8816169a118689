"""Layers of dtype float16: what overflows on the way to a result that float16 holds is computed in float32."""

import numpy as np
import pytest

import mlkit
from mlkit import layers


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("options", [{}, {"use_causal_mask": True}, {"mask": [None, np.array([[True, False, True]])]}])
def test_scores_of_attention(dtype, options):
    """Scores of 250,000, of which float16 makes infinities and NaN."""
    query = np.full((1, 3, 16), 125.0, "float32")
    value = np.random.default_rng(0).normal(size=(1, 3, 16)).astype("float32")
    key = query * np.array([1.0, 1.0, 0.5], "float32")[:, None]
    found = layers.Attention(dtype=dtype)([query, value, key], **options)
    wanted = layers.Attention()([query, value, key], **options)
    assert found.dtype == dtype
    np.testing.assert_allclose(np.asarray(found, "float32"), wanted, atol=0.02)


def test_attention_in_half_as_in_single():
    draw = np.random.default_rng(0).normal
    query, value = draw(size=(2, 4, 8)).astype("float32"), draw(size=(2, 5, 8)).astype("float32")
    for make in (
        layers.Attention,
        lambda **k: layers.Attention(use_scale=True, score_mode="concat", **k),
        layers.AdditiveAttention,
    ):
        mlkit.utils.set_random_seed(0)
        single, scores = make()([query, value], return_attention_scores=True)
        mlkit.utils.set_random_seed(0)
        half, half_scores = make(dtype="float16")([query, value], return_attention_scores=True)
        assert half.dtype == half_scores.dtype == "float16"
        np.testing.assert_allclose(half, single, atol=5e-3)
        np.testing.assert_allclose(half_scores, scores, atol=5e-3)


def test_training_in_half_with_large_counts_and_weights():
    """The poisson loss of counts beyond 65,504, and the sum of squares of large weights."""
    layer = layers.Dense(
        1, dtype="float16", use_bias=False, kernel_initializer="ones", kernel_regularizer=mlkit.regularizers.L2(1e-5)
    )
    model = mlkit.Sequential([layers.Input((4,), dtype="float16"), layer])
    layer.set_weights([np.full((4, 1), 200.0, "float16")])
    assert float(layer.losses[0]) == pytest.approx(1.6, rel=1e-3)
    model.compile("sgd", "poisson")
    loss = model.evaluate(np.ones((2, 4), "float16"), np.full((2, 1), 60000.0, "float32"), verbose=0)
    assert np.isfinite(loss)
    counts = np.array([[70000.0]], "float32")
    found = mlkit.losses.poisson(counts, np.array([[1.0]], "float16"))
    np.testing.assert_allclose(np.asarray(found, "float32"), 1.0, atol=0.01)
