"""Initializers: distributions, fans, seeds, configs as in Keras, lookup by name."""

import math
import os
import random as python_random

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pytest

import mlkit.random
from mlkit import initializers, ops
from mlkit.initializers.constant import named_window
from mlkit.objects.variable import Variable
from tests.signatures import untyped

# class, options, variance in a weight of shape (200, 300), largest absolute value in standard deviations
CUT = 2 / 0.8796256610342398
RANDOM = [
    ("RandomNormal", {"stddev": 0.5}, 0.25, None),
    ("RandomUniform", {"minval": -0.5, "maxval": 0.5}, 1 / 12, math.sqrt(3)),
    ("TruncatedNormal", {"stddev": 0.5}, 0.25 * 0.8796256610342398**2, CUT),
    ("VarianceScaling", {}, 1 / 200, CUT),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}, 3 / 300, None),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "uniform"}, 1 / 250, math.sqrt(3)),
    ("VarianceScaling", {"distribution": "normal", "input_axes": [1], "output_axes": [0]}, 1 / 300, CUT),
    ("GlorotUniform", {}, 1 / 250, math.sqrt(3)),
    ("GlorotNormal", {}, 1 / 250, CUT),
    ("LecunUniform", {}, 1 / 200, math.sqrt(3)),
    ("LecunNormal", {}, 1 / 200, CUT),
    ("HeUniform", {}, 2 / 200, math.sqrt(3)),
    ("HeNormal", {}, 2 / 200, CUT),
    ("Orthogonal", {"gain": 2.0}, 4 / 300, None),
]
NAMES = ["Constant", "Identity", "Ones", "STFT", "Zeros", *dict.fromkeys(cls for cls, *_ in RANDOM)]


def make(cls, options, **more):
    return getattr(initializers, cls)(**options, **more)


@pytest.mark.parametrize("cls, options, variance, largest", RANDOM)
def test_distribution(cls, options, variance, largest):
    values = make(cls, options, seed=5)((200, 300)).numpy()
    assert values.dtype == np.float32
    assert abs(values.mean()) < 4 * math.sqrt(variance / values.size)
    assert values.var() == pytest.approx(variance, rel=0.02)
    if largest:
        assert 0.98 < np.abs(values).max() / math.sqrt(variance) / largest <= 1.0001


def test_mean():
    assert make("RandomNormal", {"mean": 3.0}, seed=1)((1000,)).numpy().mean() == pytest.approx(3, abs=0.01)
    assert make("TruncatedNormal", {"mean": 3.0}, seed=1)((1000,)).numpy().mean() == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("cls, options", [r[:2] for r in RANDOM])
def test_seeds(cls, options):
    def draw(initializer):
        return initializer((6, 5)).numpy()

    fixed, moving = make(cls, options, seed=3), make(cls, options, seed=mlkit.random.SeedGenerator(3))
    np.testing.assert_array_equal(draw(fixed), draw(fixed))
    np.testing.assert_array_equal(draw(fixed), draw(fixed.clone()))
    assert not np.array_equal(draw(fixed), draw(make(cls, options, seed=4)))
    first = draw(moving)
    assert not np.array_equal(first, draw(moving))
    np.testing.assert_array_equal(first, draw(initializers.deserialize(initializers.serialize(moving))))
    python_random.seed(0)
    unseeded = [draw(make(cls, options)) for _ in range(2)]
    python_random.seed(0)
    np.testing.assert_array_equal(unseeded[0], draw(make(cls, options)))
    assert not np.array_equal(*unseeded)


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (3, 3, 4, 5), (2, 3, 3, 4, 5)])
@pytest.mark.parametrize("axes", [{}, {"input_axes": [0], "output_axes": [-1]}])
def test_fans_as_in_keras(shape, axes):
    from keras.src.initializers.random_initializers import compute_fans

    if axes and not shape:
        return
    assert initializers.compute_fans(shape, **axes) == compute_fans(shape, **axes)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 4), (5, 5)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_orthogonal(shape, dtype):
    values = initializers.Orthogonal(gain=2.0, seed=0)(shape, dtype)
    assert values.dtype == dtype
    assert values.shape == shape
    flat = values.numpy().astype("float64").reshape(-1, shape[-1]) / 2
    gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=0.03 if dtype == "bfloat16" else 1e-5)


CONSTANT = [
    ("Constant", {"value": 3.0}, (2, 3)),
    ("Constant", {"value": 3}, (2, 3)),
    ("Constant", {"value": [1.0, 2.0, 3.0]}, (2, 3)),
    ("Constant", {}, ()),
    ("Zeros", {}, (2, 3)),
    ("Ones", {}, (2, 3)),
    ("Identity", {"gain": 2.0}, (3, 3)),
    ("Identity", {}, (2, 4)),
    ("STFT", {}, (16, 1, 9)),
    ("STFT", {"side": "imag", "window": "hamming", "scaling": "spectrum", "periodic": True}, (16, 1, 9)),
    ("STFT", {"window": None}, (16, 1, 9)),
    ("STFT", {"window": list(range(1, 17)), "scaling": None}, (16, 1, 9)),
]


@pytest.mark.parametrize("cls, options, shape", CONSTANT)
@pytest.mark.parametrize("dtype", [None, "float16", "int32"])
def test_values_as_in_keras(cls, options, shape, dtype):
    if cls == "STFT" and dtype:
        return  # Keras computes the angles in that dtype
    ours, theirs = (getattr(library, cls)(**options) for library in (initializers, keras.initializers))
    a, b = ours(shape, dtype), theirs(shape, dtype)
    assert a.dtype == keras.backend.standardize_dtype(b.dtype)
    assert a.shape == b.shape
    np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=1e-6, atol=1e-5 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 16])
@pytest.mark.parametrize("name", "boxcar hann hamming blackman nuttall blackmanharris flattop bartlett cosine tukey".split())
def test_windows_as_in_scipy(name, length, periodic):
    signal = pytest.importorskip("scipy.signal")
    np.testing.assert_allclose(named_window(name, length, periodic), signal.get_window(name, length, periodic), atol=1e-9)


CONFIGS = [r[:2] for r in RANDOM] + [(cls, {**options, "seed": 7}) for cls, options, *_ in RANDOM] + [c[:2] for c in CONSTANT]


@pytest.mark.parametrize("cls, options", CONFIGS)
def test_config_as_in_keras(cls, options):
    ours, theirs = (getattr(library, cls)(**options) for library in (initializers, keras.initializers))
    config, expected = ours.get_config(), theirs.get_config()
    if cls == "Identity":
        expected = {"gain": ours.gain}  # Keras forgets it
    assert config == expected
    written = keras.initializers.serialize(theirs)
    assert initializers.serialize(ours) == {**written, "config": expected}
    assert keras.initializers.deserialize(initializers.serialize(ours)).get_config() == theirs.get_config()
    assert initializers.deserialize(initializers.serialize(ours)).get_config() == config
    assert initializers.get({"class_name": cls, "config": config}).get_config() == config


@pytest.mark.parametrize("cls", NAMES)
def test_signature_and_names(cls):
    ours, theirs = getattr(initializers, cls), getattr(keras.initializers, cls)
    assert untyped(ours.__init__) == untyped(theirs.__init__)
    snake = next(n for n in dir(keras.initializers) if n.islower() and getattr(keras.initializers, n) is theirs)
    for name in (cls, snake):
        assert getattr(initializers, name) is ours
        assert type(initializers.get(name)) is ours


@pytest.mark.parametrize("name", sorted(keras.src.initializers.ALL_OBJECTS_DICT))
def test_every_name_of_keras(name):
    assert type(initializers.get(name)).__name__ == keras.src.initializers.ALL_OBJECTS_DICT[name].__name__


class TestGet:
    def test_objects(self):
        one = initializers.Ones()
        assert initializers.get(one) is one
        assert initializers.get(None) is None
        assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
        assert initializers.get(ops.ones) is ops.ones

    @pytest.mark.parametrize("values", [np.arange(6.0).reshape(2, 3), ops.ones((2, 3))])
    def test_values(self, values):
        initialize = initializers.get(values)
        assert initialize((2, 3), "float32").dtype == "float32"
        with pytest.raises(ValueError, match=r"have shape \(2, 3\), but the weight has \(3, 2\)"):
            initialize((3, 2))

    @pytest.mark.parametrize("bad", ["glorot", 3, {"class_name": "Nothing", "config": {}}])
    def test_unknown(self, bad):
        with pytest.raises(ValueError, match="Could not interpret the initializer"):
            initializers.get(bad)
        with pytest.raises(ValueError, match="Did you mean 'glorot_normal'"):
            initializers.get("glorot_norm")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: initializers.RandomNormal(seed="abc"), "`seed` must be an int"),
        (lambda: initializers.VarianceScaling(scale=0.0), "`scale` must be positive"),
        (lambda: initializers.VarianceScaling(mode="fans"), "`mode` must be"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "`distribution` must be"),
        (lambda: initializers.Orthogonal()((3,)), r"two axes or more, but the shape is \(3,\)"),
        (lambda: initializers.Identity()((3,)), "Identity initializes matrices"),
        (lambda: initializers.STFT(side="both"), "`side` must be"),
        (lambda: initializers.STFT(scaling="l2"), "`scaling` must be"),
        (lambda: initializers.STFT(window="unknown"), "Unknown window 'unknown'"),
        (lambda: initializers.STFT(window=[1.0, 2.0])((3, 1, 2)), r"`window` must have shape \(3,\)"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_own_class():
    class Mine(initializers.Initializer):
        def __init__(self, start=1):
            self.start = start

        def __call__(self, shape, dtype=None):
            return ops.full(shape, self.start, dtype=dtype)

    assert Mine(4).clone().start == 4
    assert Variable(Mine(4), shape=(2,)).numpy().tolist() == [4, 4]
    with pytest.raises(NotImplementedError, match="must define __call__"):
        initializers.Initializer()((2,))
