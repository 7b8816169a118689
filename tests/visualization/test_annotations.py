"""Boxes and masks in images, and galleries."""

import keras
import numpy as np
import pytest
from PIL import Image

import mlkit

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3)).astype("uint8")
BOXES = {
    "boxes": np.array([[[2, 3, 12, 9], [0, 0, 5, 5]]] * 3, "float32"),
    "labels": np.array([[1, -1]] * 3),
    "confidences": np.array([[0.5, 0.9]] * 3),
}
MASKS = np.random.default_rng(1).integers(-1, 3, (3, 20, 30, 1))


def test_boxes_lie_where_they_should():
    drawn = mlkit.visualization.draw_bounding_boxes(IMAGES * 0, BOXES, "xyxy", color=(9, 8, 7), line_thickness=1)
    expected = np.zeros((20, 30), bool)
    expected[3, 2:13] = expected[9, 2:13] = expected[3:10, 2] = expected[3:10, 12] = True
    assert drawn.dtype == "uint8"
    for image in drawn:
        np.testing.assert_array_equal(image, expected[..., None] * np.array([9, 8, 7]))
    first = mlkit.visualization.draw_bounding_boxes(
        np.moveaxis(IMAGES * 0, -1, 1), BOXES, "xyxy", color=(9, 8, 7), line_thickness=1, data_format="channels_first"
    )
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), drawn)
    for given in ("rel_xyxy", "center_xywh"):
        moved = mlkit.utils.bounding_boxes.convert_format(dict(BOXES), "xyxy", given, 20, 30)
        again = mlkit.visualization.draw_bounding_boxes(IMAGES * 0, moved, given, color=(9, 8, 7), line_thickness=1)
        assert np.abs(again.astype(int) - drawn).mean() < 1


def test_names_are_written():
    options = {"bounding_box_format": "xyxy", "class_mapping": {1: "cat"}, "font_scale": 0.5}
    with_names = mlkit.visualization.draw_bounding_boxes(IMAGES / 255.0, BOXES, **options)
    without = mlkit.visualization.draw_bounding_boxes(IMAGES / 255.0, BOXES, "xyxy")
    assert (with_names != without).any()
    assert np.abs(without.astype(int) - IMAGES).max(-1).astype(bool).mean() < 0.3  # floats of 0 to 1 are scaled


@pytest.mark.parametrize("options", [
    {}, {"alpha": 0.3, "num_classes": 3}, {"blend": False}, {"ignore_index": 0},
    {"color_mapping": {0: (1, 2, 3), 1: (9, 9, 9), 2: (0, 5, 0)}},
])  # fmt: skip
def test_masks_as_keras_draws_them(options):
    options = {"num_classes": 3, **options}
    found, expected = (
        k.visualization.draw_segmentation_masks(IMAGES, MASKS.astype("int32"), **options) for k in (mlkit, keras)
    )
    np.testing.assert_allclose(np.asarray(found, "float32"), np.asarray(expected, "float32"), atol=1)


def test_galleries(tmp_path):
    names = {0: "none", 1: "cat"}
    show = mlkit.visualization
    plots = {
        "images": lambda path: show.plot_image_gallery(IMAGES, [0, 1, 5], [1, 1, 1], names, path=path),
        "one": lambda path: show.plot_image_gallery(IMAGES[:1] / 255.0, value_range=(0, 1), path=path),
        "boxes": lambda path: show.plot_bounding_box_gallery(
            IMAGES, "xyxy", BOXES, BOXES, class_mapping=names, legend=True, path=path
        ),
        "masks": lambda path: show.plot_segmentation_mask_gallery(IMAGES, 3, y_true=MASKS, y_pred=MASKS, path=path),
    }
    for name, plot in plots.items():
        plot(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 50
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []  # files leave no figure open
    show.plot_image_gallery(IMAGES, rows=1, cols=3, show=False)
    assert len(plt.gcf().axes) == 3
    plt.close()


@pytest.mark.parametrize("call", [
    lambda v: v.draw_bounding_boxes(IMAGES[0], BOXES, "xyxy"), lambda v: v.draw_bounding_boxes(IMAGES, {"boxes": 1}, "xyxy"),
    lambda v: v.draw_segmentation_masks(IMAGES[0], MASKS), lambda v: v.plot_image_gallery(IMAGES[0], show=False),
    lambda v: v.plot_image_gallery(IMAGES, [0, 1, 2]), lambda v: v.plot_image_gallery(IMAGES, path="x.png", show=True),
    lambda v: v.plot_bounding_box_gallery(IMAGES, "xyxy", legend=True, legend_handles=[1]),
])  # fmt: skip
def test_arguments(call):
    with pytest.raises(ValueError):
        call(mlkit.visualization)
    with pytest.raises(TypeError, match="integer dtype"):
        mlkit.visualization.draw_segmentation_masks(IMAGES, MASKS.astype("float32"))
