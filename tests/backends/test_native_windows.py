"""Rows of convolution that may decline, each against the general one; blocks of the batch; results written into given
memory."""

import numpy as np
import pytest

from mlkit.backends.native import geometry, pool, window
from mlkit.backends.native.table import Rows
from mlkit.core.spec import Spec

TABLE = window.make(np)


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def case(size=3, strides=1, padding="same", groups=1, channels=4, filters=8, dilation=1):
    """(input, kernel, parameters) of a convolution of 5 images."""
    p = dict(strides=(strides, strides), padding=padding, dilation=(dilation, dilation), groups=groups)
    return drawn(5, 9, 8, channels), drawn(size, size, channels // groups, filters), p


CASES = [
    case(),
    case(strides=2),
    case(padding="valid", dilation=2),
    case(padding=((0, 2), (1, 0))),
    case(size=1, padding="valid"),
    case(size=1, strides=2),
    case(groups=2),
    case(groups=4, filters=4),
    case(groups=4, filters=8, strides=2),
    case(channels=1),
]


def calls(x, w, p):
    """(op, arguments, parameters) of the three convolutions."""
    y = TABLE["conv"][-1][1](x, w, **p)
    g = drawn(*y.shape)
    return [
        ("conv", (x, w), p),
        ("conv_input", (g, w), dict(p, shape=x.shape)),
        ("conv_kernel", (x, g), dict(p, shape=w.shape)),
    ]


@pytest.mark.parametrize("k", range(len(CASES)))
def test_every_row_that_accepts_agrees_with_the_general_one(k):
    for name, args, p in calls(*CASES[k]):
        reference = TABLE[name][-1][1](*args, **p)
        for accepts, kernel in TABLE[name]:
            if accepts is None or accepts(*args, **p):
                np.testing.assert_allclose(kernel(*args, **p), reference, rtol=1e-4, atol=1e-4, err_msg=name)
                out = np.full_like(reference, np.nan)
                kernel.into(*args, out=out, **p)
                np.testing.assert_allclose(out, reference, rtol=1e-4, atol=1e-4, err_msg=name)


def test_rows_are_chosen_by_shape_and_dtype():
    def row(name, *args, **p):
        return [kernel for _, kernel in TABLE[name]].index(Rows(*TABLE[name]).choose(args, p))

    for dtype, size, groups, expected in [
        ("float16", 3, 1, 0),
        ("float32", 1, 1, 1),
        ("float32", 3, 4, 2),
        ("float32", 3, 1, 3),
    ]:
        x, w, p = case(size=size, groups=groups)
        assert row("conv", Spec(x.shape, dtype), Spec(w.shape, dtype), **p) == expected


@pytest.mark.parametrize("k", range(len(CASES)))
def test_small_blocks_give_the_same(k, monkeypatch):
    wanted = [Rows(*TABLE[name])(*args, **p) for name, args, p in calls(*CASES[k])]
    monkeypatch.setattr(geometry, "BLOCK_BYTES", 1)
    for (name, args, p), w in zip(calls(*CASES[k]), wanted):
        np.testing.assert_allclose(Rows(*TABLE[name])(*args, **p), w, rtol=1e-4, atol=1e-4, err_msg=name)


def test_half_floats_are_summed_in_single_precision():
    x, w = np.ones((1, 64, 64, 8), "float16"), np.full((64, 64, 8, 1), 0.125, "float16")
    y = Rows(*TABLE["conv"])(x, w, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1)
    assert y.dtype == "float16"
    assert y.item() == 4096.0


def test_empty_batch():
    x, w, p = case()
    for name, args, q in calls(x[:0], w, p):
        out = Rows(*TABLE[name])(*args, **q)
        assert out.size == 0 or not out.any()


@pytest.mark.parametrize("strides,padding", [((2, 2), "valid"), ((1, 2), "same"), ((3, 3), "same")])
def test_pool_gradient_puts_each_window_once(strides, padding):
    p = dict(window=(2, 3), strides=strides, padding=padding)
    kernels = pool.make(np)
    x = np.round(drawn(3, 7, 8, 2), 1)  # with ties
    y = kernels["max_pool"](x, **p)
    dx = kernels["max_pool_grad"](x, y, np.ones_like(y), **p)
    np.testing.assert_allclose(dx.sum(), y.size)
    np.testing.assert_array_equal(kernels["max_pool_pick"](x, y, x, **p), y)


def test_pool_of_nan_keeps_it():
    x = np.array([[[1.0], [np.nan], [2.0], [0.0]]], "float32")
    p = dict(window=(2,), strides=(2,), padding="valid")
    y = pool.make(np)["max_pool"](x, **p)
    assert np.isnan(y[0, 0, 0])
    assert y[0, 1, 0] == 2
