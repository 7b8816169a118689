"""oneDNN's kernels for images in blocks of channels against the reference rows, and against those for other images."""

import numpy as np
import pytest

import mlkit
from mlkit.backends.native.onednn import blocked_images, library
from mlkit.primitives.catalogue import OPS
from tests.backends.test_onednn import compare, drawn, reference, row_of

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")
BLOCK = blocked_images.channel_block() or 8


def laid(x):
    n, h, w, c = x.shape
    return np.ascontiguousarray(x.reshape(n, h, w, c // BLOCK, BLOCK).transpose(0, 3, 1, 2, 4))


def check(name, *args, tolerance=2e-5, **params):
    """The row agrees with the reference, outside plans and in one."""
    params = dict(block=BLOCK, **params)
    wanted = reference(name, args, params)
    compare(row_of(name)(*args, **params), wanted, tolerance)
    planned = mlkit.function(lambda first: OPS[name](first * 2.0 * 0.5, *args[1:], **params))
    compare(planned(args[0]), wanted, tolerance)


CASES = {  # channels, filters, groups, window, strides
    "one cell": (2 * BLOCK, BLOCK, 1, (1, 1), (1, 1)),
    "three cells": (BLOCK, 2 * BLOCK, 1, (3, 3), (1, 1)),
    "with steps": (2 * BLOCK, 2 * BLOCK, 1, (3, 3), (2, 1)),
    "depthwise": (2 * BLOCK, 2 * BLOCK, 2 * BLOCK, (3, 3), (2, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_convolution(case):
    channels, filters, groups, window, strides = CASES[case]
    p = dict(groups=groups, strides=strides, padding="same", dilation=(1, 1))
    x, w = drawn(2, 7, 6, channels), drawn(*window, channels // groups, filters, seed=1)
    (y,) = reference("conv", (x, w), p)
    g = drawn(*y.shape, seed=2)
    check("conv_in_blocks", laid(x), w, blocked=(0,), results=(0,), **p)
    residual = laid(drawn(*y.shape, seed=4))
    check(
        "conv_bias_act_in_blocks", laid(x), w, drawn(filters, seed=3), residual, act="relu", blocked=(0, 3), results=(0,), **p
    )
    check("conv_input_in_blocks", laid(g), w, shape=x.shape, blocked=(0,), results=(0,), **p)
    check("conv_kernel_in_blocks", laid(x), laid(g), shape=w.shape, blocked=(0, 1), results=(), **p)


@pytest.mark.parametrize("other", [3, 5, BLOCK, 3 * BLOCK // 2])
def test_convolution_between_two_layouts(other):
    p = dict(groups=1, strides=(1, 1), padding="same", dilation=(1, 1))
    x, w, back = drawn(2, 5, 6, other), drawn(3, 3, other, BLOCK, seed=1), drawn(1, 1, BLOCK, other, seed=2)
    y = drawn(2, 5, 6, BLOCK, seed=3)
    check("conv_in_blocks", x, w, blocked=(), results=(0,), **p)
    check("conv_in_blocks", laid(y), back, blocked=(0,), results=(), **p)
    check("conv_bias_act_in_blocks", laid(y), back, None, x, act="tanh", blocked=(0,), results=(), **p)
    check("conv_input_in_blocks", laid(y), w, shape=x.shape, blocked=(0,), results=(), **p)
    check("conv_input_in_blocks", x, back, shape=y.shape, blocked=(), results=(0,), **p)
    check("conv_kernel_in_blocks", x, laid(y), shape=w.shape, blocked=(1,), results=(), **p)
    check("conv_kernel_in_blocks", laid(y), x, shape=back.shape, blocked=(0,), results=(), **p)


@pytest.mark.parametrize("behind", ["", "_relu"])
def test_batch_norm(behind):
    p = dict(axes=(0, 1, 2), epsilon=1e-2)
    x, g, scale, offset = (
        drawn(3, 4, 5, 2 * BLOCK),
        drawn(3, 4, 5, 2 * BLOCK, seed=1),
        drawn(2 * BLOCK),
        drawn(2 * BLOCK, seed=2),
    )
    layout = dict(blocked=(0,), results=(0,))
    check(f"batch_norm{behind}_in_blocks", laid(x), scale, offset, **layout, **p)
    made = reference(f"batch_norm{behind}_in_blocks", (laid(x), scale, offset), dict(block=BLOCK, **layout, **p))
    layout = dict(blocked=(0, 1), results=(0,))
    check(f"batch_norm{behind}_grad_in_blocks", laid(g), laid(x), scale, *made[1:], tolerance=1e-4, **layout, **p)


def test_pooling():
    p = dict(window=(3, 3), strides=(2, 2), padding="same")
    x = drawn(2, 9, 8, BLOCK)
    for kind in ("max", "avg"):
        layout = dict(blocked=(0,), results=(0,))
        check(f"{kind}_pool_in_blocks", laid(x), **layout, **p)
    (y,) = reference("max_pool", (x,), p)
    g = drawn(*y.shape, seed=1)
    check("max_pool_grad_in_blocks", laid(x), laid(y), laid(g), blocked=(0, 1, 2), results=(0,), **p)
    check("avg_pool_grad_in_blocks", laid(g), shape=x.shape, blocked=(0,), results=(0,), **p)
