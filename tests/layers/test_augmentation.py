"""Augmentation layers: a change that is known gives the pixels one computes by hand; labels and masks follow the images."""

import keras
import numpy as np
import pytest

import mlkit
from mlkit import layers


def images(*shape, low=0, high=255):
    return np.random.default_rng(0).uniform(low, high, size=shape or (4, 6, 8, 3)).astype("float32")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        lambda **o: layers.RandomHue((0.2, 0.2), seed=1, **o),
        lambda **o: layers.RandomSaturation((0.3, 0.3), **o),
        lambda **o: layers.RandomColorDegeneration((0.4, 0.4), **o),
        lambda **o: layers.RandomSharpness((0.9, 0.9), **o),
        lambda **o: layers.RandomContrast((0.3, 0.3), seed=2, **o),
        lambda **o: layers.Equalization(bins=32, **o),
        lambda **o: layers.AutoContrast(**o),
        lambda **o: layers.RandomZoom((0.2, 0.2), **o),
        lambda **o: layers.RandomErasing(scale=(0.2, 0.2), fill_value=(1, 2, 3), seed=3, **o),
    ],
)
def test_channels_first_is_channels_last(layer, first):
    x = images()
    expected = layer()(x, training=True).numpy()
    got = layer(data_format="channels_first")(x.transpose(0, 3, 1, 2), training=True).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert np.abs(expected - x).max() > 1
    if first:  # a single image
        alone = layer()(x[0], training=True).numpy()
        assert alone.shape == x[0].shape


def test_known_changes():
    x = images()
    np.testing.assert_allclose(layers.RandomInvert(factor=(1, 1))(x, training=True).numpy(), 255 - x, rtol=1e-5)
    np.testing.assert_array_equal(layers.RandomPosterization((3, 3))(x, training=True).numpy(), np.floor(np.floor(x) / 32) * 32)
    bright = layers.Solarization(threshold_factor=(0.5, 0.5))(x, training=True).numpy()
    np.testing.assert_allclose(bright, np.where(x < 127.5, x, 255 - x), rtol=1e-5)
    stretched = layers.AutoContrast()(x * 0.2 + 20).numpy()
    assert np.allclose(stretched.min((1, 2)), 0, atol=1e-3)
    assert np.allclose(stretched.max((1, 2)), 255, atol=1e-3)
    gray = layers.RandomGrayscale(1.0)(x, training=True).numpy()
    np.testing.assert_allclose(gray[..., 0], gray[..., 1])


def test_labels_and_masks_follow():
    x, labels = images(), np.eye(4, dtype="float32")
    masks = np.arange(4 * 6 * 8, dtype="float32").reshape(4, 6, 8, 1)
    data = {"images": x, "labels": labels, "segmentation_masks": masks}
    flipped = layers.RandomFlip("horizontal", seed=1)(data, training=True)
    for image, mask, a, b in zip(x, masks, flipped["images"].numpy(), flipped["segmentation_masks"].numpy()):
        turned = not np.array_equal(image, a)
        np.testing.assert_array_equal(a, image[:, ::-1] if turned else image)
        np.testing.assert_array_equal(b, mask[:, ::-1] if turned else mask)
    np.testing.assert_array_equal(flipped["labels"].numpy(), labels)
    crop = layers.RandomCrop(3, 5, seed=0)(data, training=True)
    assert crop["images"].shape == (4, 3, 5, 3)
    assert crop["segmentation_masks"].shape == (4, 3, 5, 1)
    np.testing.assert_array_equal(np.diff(crop["segmentation_masks"].numpy()[0, 0, :, 0]), 1)
    for mixing in (layers.MixUp(seed=1), layers.CutMix(seed=1)):
        mixed = mixing({"images": x, "labels": labels}, training=True)
        np.testing.assert_allclose(mixed["labels"].numpy().sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        lambda **o: layers.RandomFlip(seed=1, **o),
        lambda **o: layers.RandomTranslation((0.1, 0.2), (0.1, 0.2), fill_mode="constant", seed=1, **o),
        lambda **o: layers.RandomZoom((0.3, 0.4), fill_mode="constant", seed=1, **o),
        lambda **o: layers.RandomRotation((0.25, 0.25), fill_mode="constant", seed=1, **o),
        lambda **o: layers.RandomShear(x_factor=(0.2, 0.2), fill_mode="constant", seed=1, **o),
        lambda **o: layers.RandomPerspective(scale=0.4, seed=1, **o),
        lambda **o: layers.RandomCrop(24, 30, seed=1, **o),
        lambda **o: layers.RandomCrop(60, 30, seed=1, **o),
        lambda **o: layers.CenterCrop(24, 30, **o),
        lambda **o: layers.CenterCrop(60, 50, **o),
        lambda **o: layers.Resizing(60, 80, **o),
        lambda **o: layers.Resizing(60, 80, crop_to_aspect_ratio=True, **o),
        lambda **o: layers.Resizing(60, 80, pad_to_aspect_ratio=True, **o),
    ],
)
def test_boxes_follow(layer):
    """The box around a bright rectangle, moved, is the box around the moved rectangle."""
    x = np.zeros((3, 40, 40, 1), "float32")
    x[:, 12:24, 15:27] = 1
    boxes = {"boxes": np.array([[[15 / 40, 12 / 40, 12 / 40, 12 / 40]]] * 3), "labels": np.array([[7]] * 3)}
    out = layer(bounding_box_format="rel_xywh")({"images": x, "bounding_boxes": boxes}, training=True)
    images_out, boxes_out = out["images"].numpy(), out["bounding_boxes"]
    height, width = images_out.shape[1:3]
    for image, (left, top, w, h), label in zip(images_out, boxes_out["boxes"].numpy()[:, 0], boxes_out["labels"].numpy()):
        rows, columns = np.nonzero(image[..., 0] > 0.5)
        found = [columns.min() / width, rows.min() / height, np.ptp(columns) / width, np.ptp(rows) / height]
        np.testing.assert_allclose([left, top, w, h], found, atol=0.08)
        assert label == 7


@pytest.mark.parametrize("name", ["RandomFlip", "RandomPerspective"])
def test_changes_are_those_of_keras(name):
    """A change that Keras has drawn, and its boxes: those who call the parts of a layer pass it about."""
    x = images()
    boxes = {"boxes": np.array([[[1, 2, 5, 4], [0, 0, 3, 6]]] * 4, "float32"), "labels": np.zeros((4, 2))}
    ours, theirs = (getattr(k.layers, name)(bounding_box_format="xyxy", seed=1) for k in (mlkit, keras))
    change = {k: v if k == "input_shape" else np.asarray(v) for k, v in theirs.get_random_transformation(x).items()}
    assert set(ours.get_random_transformation(x)) == set(change)
    moved, expected = (np.asarray(layer.transform_images(x, change, training=True)) for layer in (ours, theirs))
    np.testing.assert_allclose(moved, expected, atol=2e-3)
    expected = theirs.transform_bounding_boxes(dict(boxes), change, training=True)
    found = ours.transform_bounding_boxes(boxes, change, training=True)
    np.testing.assert_allclose(found["boxes"].numpy(), np.asarray(expected["boxes"]), atol=2e-3)


def test_flips_are_independent():
    flips = layers.RandomFlip(seed=1).get_random_transformation(images(200, 2, 2, 1))["flips"].numpy().reshape(-1, 2)
    assert len(np.unique(flips, axis=0)) == 4


def test_boxes_need_a_format():
    data = {"images": images(), "bounding_boxes": {"boxes": np.zeros((4, 1, 4)), "labels": np.zeros((4, 1))}}
    with pytest.raises(ValueError, match="bounding_box_format"):
        layers.RandomZoom(0.1)(data, training=True)
    with pytest.raises(NotImplementedError, match="bounding boxes"):
        layers.RandomElasticTransform(bounding_box_format="xyxy")(data, training=True)


def test_cut_mix_weighs_labels_by_area():
    x = np.arange(4, dtype="float32").reshape(4, 1, 1, 1) * np.ones((4, 50, 40, 1), "float32")
    mixed = layers.CutMix(seed=5)({"images": x, "labels": np.arange(4.0)}, training=True)
    np.testing.assert_allclose(mixed["images"].numpy().mean((1, 2, 3)), mixed["labels"].numpy(), atol=0.1)


def test_sizes_that_are_not_known_yet():
    for layer in (
        layers.RandomZoom(0.2),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomRotation(0.1),
        layers.RandomCrop(2, 3),
    ):
        inputs = mlkit.Input((None, None, 3))
        model = mlkit.Model(inputs, layer(inputs))
        assert model(images(), training=True).shape[1:] == ((2, 3, 3) if isinstance(layer, layers.RandomCrop) else (6, 8, 3))


def test_bad_options():
    for make, match in (
        (lambda: layers.RandomBrightness(0.2, value_range=(0, 1, 2)), "value_range"),
        (lambda: layers.RandomTranslation((-2, 0.1), 0.1), "height_factor"),
        (lambda: layers.RandomPosterization(9), "factor"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "odd"),
        (lambda: layers.RandomFlip()(np.ones((3, 3))), "rank"),
    ):
        with pytest.raises(ValueError, match=match):
            make()


@pytest.mark.parametrize(
    "make", [lambda: layers.RandAugment(seed=1), lambda: layers.AugMix(num_chains=2, chain_depth=2, seed=1)]
)
def test_augmentations_of_others_compiled(make):
    x = images(low=1)
    x[0, 0, 0] = 0  # the darkest value occurs once, so that equalization divides by 191 and has no halves to round, either way
    layer = make()
    compiled = mlkit.core.function.function(lambda x: layer(x, training=True))
    first, second = compiled(mlkit.ops.convert_to_tensor(x)).numpy(), compiled(mlkit.ops.convert_to_tensor(x)).numpy()
    assert first.shape == x.shape
    assert np.isfinite(first).all()
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(make()(x, training=True).numpy(), first, atol=0.01)


def test_pipeline():
    layer = layers.Pipeline([layers.RandomInvert(factor=(1, 1)), layers.Rescaling(1 / 255)])
    x = images()
    np.testing.assert_allclose(layer(x).numpy(), 1 - x / 255, atol=1e-6)
    again = layers.Pipeline.from_config(layer.get_config())
    np.testing.assert_allclose(again(x, training=False).numpy(), x / 255, atol=1e-6)


def test_number_of_boxes():
    boxes = {"boxes": np.ones((2, 3, 4)), "labels": np.ones((2, 3))}
    for n in (2, 5):
        out = layers.MaxNumBoundingBoxes(n)({"images": images(2, 4, 4, 3), "bounding_boxes": boxes})["bounding_boxes"]
        assert out["boxes"].shape == (2, n, 4)
        assert out["labels"].shape == (2, n)
        np.testing.assert_array_equal(out["labels"].numpy()[:, 3:], -1)


def test_mixed_images_have_the_boxes_of_both():
    """Each keeps its own and gets those of the one that is mixed in; CutMix has none to give."""
    boxes = {"boxes": np.arange(24, dtype="float32").reshape(3, 2, 4), "labels": np.arange(6, dtype="float32").reshape(3, 2)}
    batch = {"images": np.zeros((3, 8, 8, 3), "float32"), "labels": np.eye(3, dtype="float32"), "bounding_boxes": boxes}
    found = layers.MixUp(seed=1)(batch, training=True)["bounding_boxes"]
    for key, own in boxes.items():
        assert np.array_equal(found[key][:, :2], own)
    other = (np.asarray(found["labels"])[:, 2] / 2).astype(int)
    assert sorted(other) == [0, 1, 2]
    assert np.array_equal(found["boxes"][:, 2:], boxes["boxes"][other])
    same = layers.MixUp(seed=1)(batch, training=False)["bounding_boxes"]
    assert all(np.array_equal(same[key], own) for key, own in boxes.items())
    with pytest.raises(NotImplementedError, match="bounding boxes are not supported"):
        layers.CutMix()(batch, training=True)
