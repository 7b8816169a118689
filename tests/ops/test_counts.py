"""Numbers that count something (sizes, steps, places, axes): integers, in range; all else is refused in the name of the function, and what
no memory can hold is no crash."""

import math
import re

import numpy as np
import pytest

import mlkit
from mlkit import ops, random

X, IMAGE = np.ones((2, 5, 6, 3), "float32"), np.ones((2, 3, 8, 8), "float32")
WAVE, KERNEL = np.ones((2, 64), "float32"), np.ones((2, 2, 3, 3), "float32")
CALLS = {  # function -> calls of it, with one number to be chosen
    "pad_images": [
        lambda n: ops.image.pad_images(X, top_padding=n, bottom_padding=1, left_padding=1, right_padding=1),
        lambda n: ops.image.pad_images(X, top_padding=0, left_padding=0, target_height=6, target_width=n),
    ],
    "crop_images": [lambda n: ops.image.crop_images(X, top_cropping=n, left_cropping=1, target_height=2, target_width=2)],
    "resize": [lambda n: ops.image.resize(X, (n, 3))],
    "scale_and_translate": [
        lambda n: ops.image.scale_and_translate(X[0], (n, 6, 3), np.ones(2), np.zeros(2), (0, 1), "linear"),
        lambda n: ops.image.scale_and_translate(X[0], (5, 6, 3), np.ones(2), np.zeros(2), (0, n), "linear"),
    ],
    "gaussian_blur": [lambda n: ops.image.gaussian_blur(X, kernel_size=(n, 3))],
    "extract_patches": [lambda n: ops.image.extract_patches(X, 2, strides=n), lambda n: ops.image.extract_patches(X, (n, 2))],
    "scatter": [lambda n: ops.scatter([[0], [1]], [1.0, 2.0], (n,))],
    "segment_sum": [lambda n: ops.segment_sum([1.0, 2.0], [0, 1], num_segments=n)],
    "zeros": [lambda n: ops.zeros((2, n))],
    "full": [lambda n: ops.full(n, 1.0)],
    "eye": [lambda n: ops.eye(n), lambda n: ops.eye(2, n)],
    "tri": [lambda n: ops.tri(n)],
    "linspace": [lambda n: ops.linspace(0.0, 1.0, n)],
    "geomspace": [lambda n: ops.geomspace(1.0, 2.0, n)],
    "one_hot": [lambda n: ops.one_hot([0, 1], n)],
    "repeat": [lambda n: ops.repeat(X, n)],
    "tile": [lambda n: ops.tile(X, n)],
    "pad": [lambda n: ops.pad(X, n)],
    "top_k": [lambda n: ops.top_k(X, n)],
    "split": [lambda n: ops.split(X, n)],
    "array_split": [lambda n: ops.array_split(X, n)],
    "diff": [lambda n: ops.diff(X, n)],
    "bincount": [lambda n: ops.bincount([0, 1], minlength=n)],
    "rfft": [lambda n: ops.rfft(WAVE, n)],
    "extract_sequences": [lambda n: ops.extract_sequences(WAVE, n, 4)],
    "hanning": [lambda n: ops.hanning(n)],
    "max_pool": [lambda n: ops.max_pool(X, n)],
    "conv": [lambda n: ops.conv(X, KERNEL, strides=n)],
    "unfold": [lambda n: ops.unfold(IMAGE, n), lambda n: ops.unfold(IMAGE, 2, stride=(1, n))],
    "fold": [lambda n: ops.fold(np.ones((2, 12, 49), "float32"), (n, 8), 2)],
    "vander": [lambda n: ops.vander([1.0, 2.0], n)],
    "scan": [lambda n: ops.scan(lambda c, x: (c, c), ops.zeros(()), None, length=n)],
    "random.normal": [lambda n: random.normal((n,))],
    "random.categorical": [lambda n: random.categorical(np.ones((2, 3), "float32"), n)],
}
AXES = {
    name: [call]
    for name, call in {
        "expand_dims": lambda n: ops.expand_dims(X, n), "sum": lambda n: ops.sum(X, axis=n), "squeeze": lambda n: ops.squeeze(X, n),
        "moveaxis": lambda n: ops.moveaxis(X, n, 0), "swapaxes": lambda n: ops.swapaxes(X, n, 0), "flip": lambda n: ops.flip(X, n),
        "concatenate": lambda n: ops.concatenate([X, X], n), "stack": lambda n: ops.stack([X, X], n), "argmax": lambda n: ops.argmax(X, n),
        "softmax": lambda n: ops.softmax(X, n), "cumsum": lambda n: ops.cumsum(X, n), "sort": lambda n: ops.sort(X, n),
    }.items()
}  # fmt: skip
NO_INTEGERS = [math.inf, math.nan, 2.5, 1e30, "3", np.float32(2)]


@pytest.mark.parametrize("name", [*CALLS, *AXES])
def test_what_is_no_integer(name):
    for call in CALLS.get(name) or AXES[name]:
        for number in NO_INTEGERS:
            with pytest.raises(
                (TypeError, ValueError), match=rf"^{re.escape(name)}: .* must be .* (but|not) .*{re.escape(str(number)[:3])}"
            ):
                call(number)


@pytest.mark.parametrize("name", CALLS)
def test_integers_of_numpy_are_integers(name):
    for call in CALLS[name]:
        n = {"scale_and_translate": 1, "fold": 8, "pad_images": 7}.get(name, 2)
        found, wanted = call(np.int64(n)), call(n)
        for a, b in zip(mlkit.tree.flatten(found), mlkit.tree.flatten(wanted), strict=True):
            assert a.shape == b.shape


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"pad_images", "crop_images", "scale_and_translate"}))
def test_negative_ones(name):
    for call in CALLS[name]:
        with pytest.raises(ValueError, match=rf"^{re.escape(name)}: "):
            call(-2)


@pytest.mark.native("too little memory, which ends the process on JAX")
@pytest.mark.parametrize("size", [1 << 42, 1 << 70])
@pytest.mark.parametrize(
    "call",
    [
        CALLS["zeros"][0], CALLS["scatter"][0], CALLS["segment_sum"][0], CALLS["eye"][0], CALLS["one_hot"][0], CALLS["repeat"][0],
        CALLS["tile"][0], CALLS["pad"][0], CALLS["hanning"][0], CALLS["linspace"][0], CALLS["resize"][0], CALLS["pad_images"][0],
        lambda n: ops.arange(n), lambda n: random.uniform((n,)), lambda n: mlkit.function(lambda: ops.zeros(n) + 1)(),
    ],
)  # fmt: skip
def test_more_than_any_memory_holds(call, size):
    with pytest.raises((MemoryError, ValueError), match="no memory for|does not fit into"):
        call(size)


@pytest.mark.parametrize("size", [1 << 49, 1 << 62, 1 << 70])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_windows_that_no_axis_is_long_enough_for(padding, size):
    for call, options in (
        (lambda **o: ops.conv(X, KERNEL, padding=padding, **o), ("strides", "dilation_rate")),
        (lambda **o: ops.conv_transpose(X, KERNEL, padding=padding, **o), ("strides", "dilation_rate")),
        (lambda **o: ops.max_pool(X, **{"pool_size": 2, **o}, padding=padding), ("strides", "pool_size")),
        (lambda **o: ops.average_pool(X, **{"pool_size": 2, **o}, padding=padding), ("strides", "pool_size")),
    ):
        for name in options:
            with pytest.raises(ValueError, match=f"`{name}` is .*, but no axis has more than"):
                call(**{name: (1, size)})
    assert ops.conv(X, KERNEL, strides=1 << 40, padding=padding).shape == (2, 1, 1, 3)


@pytest.mark.parametrize("sigma", [1.0, np.float32(2), np.ones(1, "float32"), np.ones((1, 2), "float32"), (1.0,)])
def test_deviations_of_a_blur_are_a_pair(sigma):
    with pytest.raises(ValueError, match="^gaussian_blur: .*pair"):
        ops.image.gaussian_blur(X, (3, 3), sigma)


def test_many_parts_and_differences():
    assert len(ops.array_split(np.ones(3), 1000)) == 1000
    for cut in (ops.array_split, ops.split):
        with pytest.raises(ValueError, match="cannot be cut into|cannot be divided into"):
            cut(np.ones(3), 1 << 40)
    assert ops.diff(np.ones(3), 1 << 40).shape == (0,)


def test_bounds_of_loops():
    for bounds in ((0, math.inf), (0, 2.5), (0.5, 3)):
        with pytest.raises(TypeError, match="^fori_loop: "):
            ops.fori_loop(*bounds, lambda i, x: x, 0.0)
