"""oneDNN rows with bfloat16 operands against the reference rows, and models that compute in it."""

import sys

import ml_dtypes
import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.backends.native.onednn import constants, library
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.primitives.catalogue import OPS
from tests.backends.test_onednn import check, compare, drawn, nothing_is_quick, reference, row_of  # noqa: F401
from tests.backends.test_onednn_blocks import BLOCK, laid
from tests.backends.test_onednn_chain import chains_of

LIBRARY = library.library()
pytestmark = [
    pytest.mark.skipif(
        LIBRARY is None or not LIBRARY.multiplies_bfloat16, reason="no oneDNN, or a processor without products of bfloat16"
    ),
    pytest.mark.usefixtures("all_passes"),
]
ROUNDED = 2**-7  # twice the distance of neighbouring numbers: one rounding, and float32 sums in another order


def half(*shape, seed=0):
    return drawn(*shape, seed=seed).astype(ml_dtypes.bfloat16)


def check_half(name, *args, **params):
    check(name, *args, tolerance=ROUNDED, **params)


def windows(strides=(1, 1), padding="same", groups=1):
    return dict(strides=strides, padding=padding, dilation=(1, 1), groups=groups)


@pytest.mark.parametrize(
    "x,w,p",
    [
        ((2, 6, 7, 5), (3, 3, 5, 8), windows()),
        ((2, 9, 9, 16), (3, 3, 16, 32), windows((2, 2))),
        ((3, 8, 8, 16), (1, 1, 16, 24), windows((2, 2), "valid")),
        ((2, 8, 8, 32), (3, 3, 1, 32), windows((2, 2), groups=32)),
        ((2, 8, 8, 6), (3, 3, 3, 4), windows(groups=2)),
    ],
    ids=["odd sizes", "steps", "one cell", "depthwise", "groups"],
)
def test_convolution(x, w, p):
    x_shape, w_shape, x, w = x, w, half(*x), half(*w, seed=1)
    check_half("conv", x, w, **p)
    g = half(*reference("conv", (x, w), p)[0].shape, seed=2)
    check_half("conv_input", g, w, shape=x_shape, **p)
    for name in ("conv_kernel", "conv_kernel_wide"):
        check_half(name, x, g, shape=w_shape, **p)
    check_half("conv_bias_act", x, w, half(w_shape[-1], seed=3), g, act="relu", **p)


@pytest.mark.parametrize("a,b", [((40, 17), (17, 9)), ((2, 3, 20, 8), (8, 6)), ((2, 3, 5, 8), (2, 3, 8, 6))])
def test_product(a, b):
    x, y = half(*a), half(*b, seed=1)
    check_half("matmul", x, y)
    check("matmul_wide", x, y)
    added = half(*a[:-1], b[-1], seed=2)
    check_half("matmul_bias_act", x, y, half(b[-1], seed=3), added, act="gelu")


def test_sums():
    for name in ("sum", "sum_wide"):
        check_half(name, half(60, 50, 7), axes=(0, 1), keepdims=False)
        check_half(name, half(300, 40), axes=(0,), keepdims=True)


@pytest.mark.parametrize("size", [5, 16, 24])
def test_normalizations(size):
    x, g, scale = half(3, 4, 6, size), half(3, 4, 6, size, seed=1), drawn(size, seed=2)
    batch, layer = dict(axes=(0, 1, 2), epsilon=1e-2), dict(rank=1, epsilon=1e-2)
    for name, params in (("batch_norm", batch), ("layer_norm", layer)):
        check_half(name, x, scale, scale, **params)
        _, mean, variance = reference(name, (x, scale, scale), params)
        assert mean.dtype == "float32"
        check_half(f"{name}_grad", g, x, scale, mean, variance, **params)


def test_parameters_of_normalizations_are_not_rounded():
    with pytest.raises(TypeError, match="x of bfloat16 needs scale and offset of float32, but got bfloat16"):
        OPS["batch_norm"](half(3, 4), half(4), None, axes=(0,), epsilon=0.1)


def test_pooling():
    p = dict(window=(2, 2), strides=(2, 2), padding="same")
    x = half(2, 6, 7, 5)
    for name in ("max_pool", "avg_pool"):
        check_half(name, x, **p)
    y = reference("max_pool", (x,), p)[0]
    check_half("max_pool_grad", x, y, half(*y.shape, seed=1), **p)
    check_half("avg_pool_grad", half(*y.shape, seed=1), shape=x.shape, **p)


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_resampling(method):
    check_half("resample", half(2, 6, 7, 9), size=(12, 5), method=method)
    check_half("resample_grad", half(2, 12, 5, 9), size=(6, 7), method=method)


def test_images_in_blocks():
    p, both = windows((2, 1)), dict(block=BLOCK, blocked=(0, 1))
    one = dict(block=BLOCK, blocked=(0,), results=(0,))
    x, w, v = half(2, 7, 6, 2 * BLOCK), half(3, 3, 2 * BLOCK, BLOCK, seed=1), drawn(2 * BLOCK, seed=2)
    g = half(*reference("conv", (x, w), p)[0].shape, seed=3)
    check_half("conv_in_blocks", laid(x), w, **one, **p)
    check_half("conv_input_in_blocks", laid(g), w, shape=x.shape, **one, **p)
    check_half("conv_kernel_in_blocks", laid(x), laid(g), shape=w.shape, results=(), **both, **p)
    check_half("conv_kernel_wide_in_blocks", laid(x), laid(g), shape=w.shape, results=(), **both, **p)
    statistics = dict(axes=(0, 1, 2), epsilon=1e-2)
    check_half("batch_norm_in_blocks", laid(x), v, v, **one, **statistics)
    _, mean, variance = reference("batch_norm", (x, v, v), statistics)
    check_half("batch_norm_grad_in_blocks", laid(x), laid(x), v, mean, variance, results=(0,), **both, **statistics)
    check_half("max_pool_in_blocks", laid(x), window=(2, 2), strides=(2, 2), padding="valid", **one)


def test_functions():
    x, g = half(5, 33), half(5, 33, seed=1)
    check_half("softmax", x, axis=1)
    check_half("silu", x)
    check_half("silu_grad", g, x)
    for approximate in (False, True):
        check_half("gelu", x, approximate=approximate)
        check_half("gelu_grad", g, x, approximate=approximate)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, (3, 1, 7, 5)], ids=str)
def test_attention(mask, causal):
    q, k, v = half(3, 7, 2, 4), half(3, 5, 2, 4, seed=1), half(3, 5, 2, 6, seed=2)
    mask = mask and np.random.default_rng(3).random(mask) > 0.7
    p = dict(scale=0.4, causal=causal)
    check_half("attention", q, k, v, mask, **p)
    y = reference("attention", (q, k, v, mask), p)[0]
    check("attention_grad", half(*y.shape, seed=4), q, k, v, mask, tolerance=2 * ROUNDED, **p)


def test_without_the_instructions_rows_decline(monkeypatch):
    monkeypatch.setattr(LIBRARY, "isa", LIBRARY.isa & ~constants.ISA_AVX512_BF16)
    assert not row_of("matmul").accepts(half(3, 4), half(4, 5))
    assert row_of("matmul").accepts(drawn(3, 4), drawn(4, 5))


# ---- chains ----------------------------------------------------------------------------------------------------------

CHAINS = [
    lambda x, y, single, vector, keep: ops.relu(x * y + vector),
    lambda x, y, single, vector, keep: OPS["relu_grad"](x + y, y),
    lambda x, y, single, vector, keep: OPS["masked_scale"](x * y, keep, scale=2.0) + x,
    lambda x, y, single, vector, keep: ops.cast(x, "float32") * single + 1.0,
    lambda x, y, single, vector, keep: ops.cast(single * 2.0 - 1.0, "bfloat16"),
    lambda x, y, single, vector, keep: ops.cast(x, "float32"),
    lambda x, y, single, vector, keep: ops.cast(ops.relu(ops.cast(x, "float32") * single), "bfloat16") + y,
    lambda x, y, single, vector, keep: (ops.cast(x, "float32"), ops.cast(x * y, "float32") + single, x * y),
    lambda x, y, single, vector, keep: OPS["relu_grad"](ops.cast(single * 0.5, "bfloat16"), y),
]


@pytest.mark.parametrize("f", CHAINS)
def test_chains(f, monkeypatch):
    monkeypatch.setattr(sys.modules["mlkit.compiler.passes.fuse_chains"], "SMALLEST", 0)
    keep = np.random.default_rng(4).random((6, 40)) > 0.5
    tensors = [
        ops.convert_to_tensor(t) for t in (half(6, 40), half(6, 40, seed=1), drawn(6, 40, seed=2), half(40, seed=3), keep)
    ]
    wanted, compiled = f(*tensors), mlkit.function(f)
    compare(compiled(*tensors), wanted if isinstance(wanted, tuple) else (wanted,), ROUNDED)
    chains = chains_of(compiled)
    assert chains
    assert all(by_onednn for _, by_onednn in chains)


# ---- models ----------------------------------------------------------------------------------------------------------


def losses(policy):
    mlkit.utils.set_random_seed(0)
    mlkit.config.set_dtype_policy(policy)
    try:
        inputs = mlkit.Input((16, 16, 3))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(32, 3, padding="same")(inputs)))
        x = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
        y = layers.BatchNormalization()(layers.Conv2D(32, 1, use_bias=False)(layers.Activation("gelu")(x)))
        x = layers.Reshape((16, 32))(layers.MaxPooling2D()(layers.Add()([x, y])))
        h = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(h, h)])
        outputs = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(layers.Dropout(0.1)(x)))
        model = mlkit.Model(inputs, outputs)
        model.compile("adam", "sparse_categorical_crossentropy")
        x = drawn(64, 16, 16, 3)
        y = x[:, :8].mean(axis=(1, 2, 3)) > x[:, 8:].mean(axis=(1, 2, 3))
        history = [float(model.train_on_batch(x, y.astype("int32"))) for _ in range(15)]
        return history, model
    finally:
        mlkit.config.set_dtype_policy("float32")


def _half(x):
    return ops.cast(x, "bfloat16")


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: _half(x - y),
        lambda x, y: _half(x * y - x),
        lambda x, y: _half(ops.sigmoid(x * 8) * 0.5 - ops.sigmoid(x * 8) * 0.5 * y),
        lambda x, y: (_half(x - y), x * 2, _half(y - x) * _half(x)),
        lambda x, y: ops.cast(_half(x - y), "float32") * x,
    ],
)
def test_what_is_cast_to_bfloat16_is_not_rounded_before(f, monkeypatch):
    """A difference of float32 numbers that are near each other loses all its digits otherwise."""
    monkeypatch.setattr(sys.modules["mlkit.compiler.passes.fuse_chains"], "SMALLEST", 0)
    x, near = (ops.convert_to_tensor(drawn(12, 40)), ops.convert_to_tensor(1 + 1e-3 * drawn(12, 40, seed=1)))
    for y in (near, x * near):
        compiled = mlkit.function(f)
        for a, b in zip(mlkit.tree.flatten(f(x, y)), mlkit.tree.flatten(compiled(x, y))):
            a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
            np.testing.assert_allclose(b, a, rtol=2 * ROUNDED, atol=2e-6)
        assert all(is_run for _, is_run in chains_of(compiled))


def test_a_mixed_model_learns_like_a_float32_one():
    (single, _), (mixed, model) = losses("float32"), losses("mixed_bfloat16")
    assert single[-1] < 0.7 * single[0]
    np.testing.assert_allclose(mixed, single, rtol=0.05, atol=0.02)
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


def test_gradients_of_weights_are_not_rounded():
    w = mlkit.Variable(drawn(64, 48, seed=1))

    def step(x):
        with mlkit.GradientTape() as tape:
            y = ops.sum(ops.cast(ops.reshape(ops.matmul(x, ops.cast(w, "bfloat16")), (-1,)), "float32"))
        return tape.gradient(y, w)

    found = mlkit.function(step)
    x = half(40, 64)
    compare(found(x), (x.astype("float32").T @ np.ones((40, 48), "float32"),), 1e-6)
    plan = next(iter(found.programs.values()))[0].run.plan
    names = [call.op.name for call in plan.graph.calls]
    assert "matmul_wide" in names
    assert "matmul" not in names
    assert all(isinstance(ch.prepared, Kernel) for c, ch in zip(plan.graph.calls, plan.choices) if c.op.name == "matmul_wide")
