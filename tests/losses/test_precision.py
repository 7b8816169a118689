"""Losses, metrics and norms compute in float32 at least: small integers do not wrap around and half floats do not overflow."""

import numpy as np
import pytest

import mlkit as keras
from mlkit import constraints, layers, losses, metrics, ops, regularizers
from mlkit.optimizers.clipping import clip_by_global_norm, clip_by_norm

DTYPES = ("float16", "bfloat16", "uint8", "int8", "bool")
FUNCTIONS = (
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "huber",
    "log_cosh", "cosine_similarity", "kl_divergence", "poisson", "hinge", "squared_hinge", "categorical_hinge", "dice", "tversky",
    "binary_crossentropy", "categorical_crossentropy",
)  # fmt: skip
METRICS = (
    "MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "LogCoshError", "KLDivergence",
    "Poisson", "Hinge", "SquaredHinge", "CategoricalHinge", "CosineSimilarity", "ConcordanceCorrelation", "BinaryCrossentropy",
    "CategoricalCrossentropy", "R2Score", "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "TruePositives", "Precision",
    "Recall", "AUC",
)  # fmt: skip


def pair(dtype):
    """Targets and predictions in a dtype (values whose squares and products leave its range), and the same in float64."""
    rng = np.random.default_rng(7)
    high = {"float16": 400, "bfloat16": 400, "uint8": 255, "int8": 127, "bool": 2}[dtype]
    low = np.asarray(ops.convert_to_numpy(ops.cast(rng.integers(0, high, (2, 4, 3)).astype("float64"), dtype)))
    return tuple(low), tuple(low.astype("float64"))


def close(got, want):
    got, want = (np.asarray(ops.convert_to_numpy(x)).astype("float64") for x in (got, want))
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loss_functions(name, dtype):
    low, wide = pair(dtype)
    got = getattr(losses, name)(*low)
    assert got.dtype == "float32"
    if "crossentropy" in name or name in ("kl_divergence", "mean_squared_logarithmic_error", "mean_absolute_percentage_error"):
        wide = tuple(x.astype("float32") for x in wide)  # 1 - epsilon and epsilon are other numbers in float64
    close(got, getattr(losses, name)(*wide))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", METRICS)
def test_metrics(name, dtype):
    low, wide = pair(dtype)
    wide = tuple(x.astype("float32") for x in wide)
    close(getattr(metrics, name)()(*low), getattr(metrics, name)()(*wide))


def test_equal_numbers_of_different_dtypes():
    assert float(metrics.Accuracy()(np.array([300]), np.array([44], "uint8"))) == 0.0
    assert (
        float(metrics.SparseCategoricalAccuracy()(np.array([2049.0], "float32"), np.eye(3000)[[2048]].astype("float16"))) == 0.0
    )


def test_means_in_half_count_beyond_its_integers():
    mean = metrics.Mean(dtype="float16")
    for _ in range(3):
        mean.update_state(np.ones(2000, "float32"))
    assert float(mean.result()) == 1.0


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_norms(dtype):
    x = ops.cast(np.array([[300.0, 400.0]]), dtype)
    for unit in (ops.normalize(x), constraints.UnitNorm(axis=1)(x), layers.UnitNormalization(dtype=dtype)(x)):
        assert unit.dtype == dtype
        np.testing.assert_allclose(ops.cast(unit, "float32").numpy(), [[0.6, 0.8]], atol=5e-3)
    assert float(ops.norm(x)) == pytest.approx(500, rel=1e-2)
    assert float(ops.std(ops.cast(np.array([0.0, 1000.0]), dtype))) == pytest.approx(500, rel=1e-2)
    for clipped in (clip_by_norm(x, 5.0), clip_by_global_norm([x], 5.0)[0]):
        np.testing.assert_allclose(ops.cast(clipped, "float32").numpy(), [[3.0, 4.0]], rtol=1e-2)
    assert float(regularizers.L2(0.01)(x)) == pytest.approx(2_500, rel=1e-2)
    np.testing.assert_allclose(ops.cast(constraints.MaxNorm(5.0, axis=1)(x), "float32").numpy(), [[3.0, 4.0]], rtol=1e-2)


@pytest.mark.parametrize("policy", ("mixed_float16", "float16", "mixed_bfloat16"))
def test_normalization_of_raw_features(policy):
    x = np.random.default_rng(0).normal(100_000, 5_000, size=(64, 2)).astype("float32")
    layer = layers.Normalization(dtype=policy)
    layer.adapt(x)
    y = layer(x)
    assert y.dtype == layer.compute_dtype
    np.testing.assert_allclose(ops.cast(y, "float32").numpy(), (x - x.mean(0)) / x.std(0), atol=0.02)


def test_a_vector_is_one_row():
    for axis in (0, -1):
        np.testing.assert_allclose(keras.utils.normalize(np.array([3.0, 4.0]), axis=axis), [[0.6, 0.8]])
    np.testing.assert_allclose(keras.utils.normalize(np.array([300.0, 400.0], "float16")), [[0.6, 0.8]], atol=1e-3)


def test_arguments_of_old_are_refused():
    with pytest.raises(ValueError, match="batch_size"):
        layers.Dense(3, batch_size=4)
