"""Losses, metrics, norms and sums compute in float32 at least: small integers do not wrap around, half floats neither overflow nor
stop counting; and models leave it to their layers to cast what half floats cannot hold."""

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


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
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


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16"])
def test_normalization_of_raw_features(policy):
    x = np.random.default_rng(0).normal(100_000, 5_000, size=(64, 2)).astype("float32")
    layer = layers.Normalization(dtype=policy)
    layer.adapt(x)
    y = layer(x)
    assert y.dtype == layer.compute_dtype
    np.testing.assert_allclose(ops.cast(y, "float32").numpy(), (x - x.mean(0)) / x.std(0), atol=0.02)


SUMS = {
    "average": lambda x: ops.average(x, axis=0, weights=x),
    "cumsum": lambda x: ops.cumsum(x, axis=0),
    "segment_sum": lambda x: ops.segment_sum(x, np.zeros(5000, "int32"), 1),
    "scatter_add": lambda x: ops.scatter(np.zeros((5000, 1), "int32"), x, (1, 3)),
    "wide rows": lambda x: ops.segment_sum(ops.tile(x, (1, 30)), np.zeros(5000, "int32"), 2),
    "masked mean": lambda x: layers.GlobalAveragePooling1D(dtype=x.dtype)(x[None], mask=ops.ones((1, 5000), "bool")),
    "sparsemax": lambda x: ops.sparsemax(x / 1000, axis=0),
    "linspace": lambda x: ops.linspace(x[0], x[0] + 1, 5000),
    "softmax": lambda x: ops.softmax(x / 1000, axis=0),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_many(name, dtype, compiled):
    x = ops.cast(np.random.default_rng(0).random((5000, 3)) + 10 * (name in ("average", "masked mean")), dtype)
    f = keras.function(SUMS[name]) if compiled else SUMS[name]
    got, want = (np.asarray(ops.cast(t, "float32")) for t in (f(x), SUMS[name](ops.cast(x, "float32"))))
    np.testing.assert_allclose(got, want, rtol=2e-3 if dtype == "float16" else 1.6e-2, atol=1e-6)


def test_rows_of_a_table_that_are_read_often_have_their_whole_gradient():
    table = keras.Variable(np.ones((2, 3)), dtype="bfloat16")
    with keras.GradientTape() as tape:
        loss = ops.sum(ops.cast(ops.take(table, np.zeros(5000, "int32"), axis=0), "float32"))
    np.testing.assert_allclose(ops.cast(tape.gradient(loss, table), "float32"), [[5000] * 3, [0] * 3], rtol=1e-2)


@pytest.mark.parametrize("shape, spread", [((8, 32), 300), ((4, 8, 8, 16), 1000)])
def test_moving_statistics_of_wide_data_in_half(shape, spread):
    x = np.random.default_rng(0).normal(0, spread, shape).astype("float16")
    half, wide = layers.BatchNormalization(dtype="float16"), layers.BatchNormalization()
    half(x, training=True), wide(x.astype("float32"), training=True)
    for v, w in zip(half.non_trainable_variables, wide.non_trainable_variables):
        np.testing.assert_allclose(v.numpy().astype("float32"), w.numpy(), rtol=2e-3, atol=1e-2)


def test_spectral_normalization_keeps_the_weights_of_mixed_precision():
    w = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    found = []
    for policy in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        layer = layers.SpectralNormalization(layers.Dense(4, dtype=policy), dtype=policy)
        layer.build((None, 5))
        layer.kernel.assign(w)
        layer(np.ones((2, 5), "float32"), training=True)
        found.append(layer.kernel.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


class Embedded(keras.Model):
    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


MODELS = {
    "sequential": lambda *parts: keras.Sequential([keras.Input((1,)), *parts]),
    "sequential, built by data": lambda *parts: keras.Sequential(list(parts)),
    "functional": lambda *parts: (lambda i: keras.Model(i, Embedded(*parts)(i)))(keras.Input((1,))),
    "subclassed": Embedded,
}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("kind", MODELS)
def test_models_leave_it_to_their_layers_to_cast(kind, policy):
    """Numbers of categories above 2,048, raw features and pixels of 16 bits are not what half floats hold."""
    x = np.array([[2049.0], [4001.0], [65535.0], [90000.0]])
    keras.config.set_dtype_policy(policy)
    try:
        table = layers.Embedding(90_001, 2)
        table.build()
        known = np.asarray(ops.cast(table.embeddings, "float32"))[x[:, 0].astype(int)]
        scaled = x / 90_000
        cases = [(table, known.reshape(4, 2)), (layers.Rescaling(1 / 90_000), scaled)]
        cases.append((layers.Normalization(mean=[60_000.0], variance=[9e8]), (x - 60_000) / 3e4))
        for layer, want in cases:
            model = MODELS[kind](layer)
            for given in (x, x.astype("float32")):
                for y in (model(given), model.predict(given, verbose=0), model.predict_on_batch(given)):
                    got = np.asarray(ops.convert_to_numpy(y)).astype("float32").reshape(want.shape)
                    np.testing.assert_allclose(got, want, rtol=1e-2, atol=1e-3)
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_vector_is_one_row():
    for axis in (0, -1):
        np.testing.assert_allclose(keras.utils.normalize(np.array([3.0, 4.0]), axis=axis), [[0.6, 0.8]])
    np.testing.assert_allclose(keras.utils.normalize(np.array([300.0, 400.0], "float16")), [[0.6, 0.8]], atol=1e-3)


def test_arguments_of_old_are_refused():
    with pytest.raises(ValueError, match="batch_size"):
        layers.Dense(3, batch_size=4)
