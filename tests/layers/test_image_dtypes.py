"""One rule for all layers of images: they answer in their compute dtype, integers are rounded floats, and values stay in `value_range`."""

import inspect

import numpy as np
import pytest

import mlkit
from mlkit import layers
from tests.layers.samples import AUGMENTATION, SHAPING

LAYERS = [
    *[s for s in AUGMENTATION if s.name != "ContrastLimitedAdaptiveHistogramEqualization"],
    *[s for s in SHAPING if s.name in ("Resizing", "CenterCrop", "Rescaling")],
]
RANGED = [s for s in AUGMENTATION if "value_range" in inspect.signature(getattr(layers, s.name)).parameters]


def made(sample, **options):
    cls = getattr(layers, sample.name)
    if "seed" in inspect.signature(cls).parameters:
        options["seed"] = 3
    if "value_range" in sample.options:
        options.setdefault("value_range", (0, 255))
    return cls(**{**sample.options, **options})


def called(layer, images, training):
    takes = "training" in inspect.signature(type(layer).call).parameters
    return layer(images, training=training) if takes else layer(images)


def images(sample, dtype="float32", low=0, high=255):
    x = np.random.default_rng(0).uniform(low, high, sample.shapes[0])
    return (np.floor(x) if dtype == "uint8" else x).astype(dtype)


@pytest.mark.parametrize("sample", LAYERS, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32"])
def test_the_answer_has_the_compute_dtype(sample, dtype):
    layer = made(sample, dtype=dtype)
    for given in ("uint8", "float32"):
        for training in (True, False):
            assert called(layer, images(sample, given), training).dtype == dtype
        assert called(layer, mlkit.KerasTensor(sample.shapes[0], given), True).dtype == dtype


@pytest.mark.parametrize("sample", LAYERS, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_integers_are_the_rounded_floats(sample, dtype):
    limits = np.iinfo(dtype)
    for training in (True, False):
        x = images(sample, "uint8")
        floats = called(made(sample, dtype="float32"), x, training).numpy()
        integers = called(made(sample, dtype=dtype), x, training).numpy()
        wanted = np.clip(np.rint(floats), limits.min, limits.max)
        assert np.abs(integers.astype("float64") - wanted).max() <= 1  # halves are rounded either way


@pytest.mark.parametrize("sample", RANGED, ids=lambda s: s.name)
@pytest.mark.parametrize("low, high", [(0, 1), (0, 255), (-1, 1)])
def test_values_stay_in_the_range(sample, low, high):
    layer = made(sample, value_range=(low, high))
    for seed in range(4):
        x = images(sample, low=low, high=high)
        x[0, :2], x[1, :2] = low, high  # the ends are there too
        y = called(layer, x, True).numpy()
        assert low <= y.min() <= y.max() <= high, (seed, y.min(), y.max())


@pytest.mark.parametrize("sample", RANGED, ids=lambda s: s.name)
@pytest.mark.parametrize("wrong", [(0, 1, 2), 255, (1, 1), ("a", "b")])
def test_a_range_is_two_numbers(sample, wrong):
    with pytest.raises(ValueError, match=f"{sample.name}.*value_range"):
        made(sample, value_range=wrong)


def test_labels_and_boxes_of_integer_images_stay_floats():
    x, labels = np.zeros((4, 6, 6, 3), "uint8"), np.eye(4, dtype="float32")
    for layer in (layers.MixUp(seed=1, dtype="uint8"), layers.CutMix(seed=1, dtype="uint8")):
        mixed = layer({"images": x, "labels": labels}, training=True)
        assert mixed["images"].dtype == "uint8"
        assert mixed["labels"].dtype == "float32"
        np.testing.assert_allclose(mixed["labels"].numpy().sum(1), 1, rtol=1e-5)
    boxes = {"boxes": np.full((4, 1, 4), 0.25, "float32"), "labels": np.ones((4, 1))}
    flipped = layers.RandomFlip(bounding_box_format="rel_xywh", dtype="uint8", seed=1)({"images": x, "bounding_boxes": boxes})
    assert flipped["bounding_boxes"]["boxes"].dtype == "float32"
    np.testing.assert_allclose(flipped["bounding_boxes"]["boxes"].numpy()[..., 2:], 0.25, rtol=1e-5)
