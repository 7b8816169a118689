"""Bounding boxes as Keras has them."""

import keras
import numpy as np
import pytest

from mlkit.utils import bounding_boxes as ours

theirs = keras.utils.bounding_boxes
rng = np.random.default_rng(0)
LEFT_TOP = rng.uniform(0, 50, size=(2, 5, 2))
BOXES = np.concatenate([LEFT_TOP, LEFT_TOP + rng.uniform(1, 40, size=(2, 5, 2))], -1).astype("float32")
OTHERS = BOXES[:, ::-1] + rng.uniform(-5, 5, size=BOXES.shape).astype("float32")
FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def check(name, *args, **options):
    mine, judge = getattr(ours, name)(*args, **options), getattr(theirs, name)(*args, **options)
    for a, b in zip(*((x.values() if isinstance(x, dict) else [x]) for x in (mine, judge)), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("source", FORMATS)
def test_formats(source):
    for target in FORMATS:
        check("convert_format", BOXES / 100, source, target, height=80, width=120)


def test_moved_boxes():
    check("crop", BOXES, 10, 5, 30, 40)
    check("pad", BOXES, 10, 5)
    labels = np.arange(5)
    check("clip_to_image_size", {"boxes": BOXES[0] - 20, "labels": labels}, height=30, width=25)
    numbers = [np.array(v, "float32") for v in ([10, -30], [0.1, 0], [0, -0.2], [1.2, 0.8], [5, 10], [0, -8])]
    check("affine_transform", BOXES, *numbers, height=80, width=120)


def test_regression_targets():
    options = {"anchor_format": "xyxy", "box_format": "xywh", "variance": [0.1, 0.1, 0.2, 0.2]}
    check("encode_box_to_deltas", BOXES[0], OTHERS[0], **options)
    deltas = ours.encode_box_to_deltas(BOXES[0], BOXES[0] * 1.1, "xyxy", "xyxy", variance=[0.1, 0.1, 0.2, 0.2]).numpy()
    check("decode_deltas_to_boxes", BOXES[0], deltas, **options)
    again = ours.decode_deltas_to_boxes(BOXES[0], deltas, "xyxy", "xyxy", variance=[0.1, 0.1, 0.2, 0.2])
    np.testing.assert_allclose(again.numpy(), BOXES[0] * 1.1, rtol=1e-4)


def test_overlap():
    check("compute_iou", BOXES, OTHERS, "xyxy")
    check("compute_iou", BOXES[0], OTHERS, "xyxy")
    check("compute_iou", BOXES[0] / 100, OTHERS[0] / 100, "rel_yxyx", image_shape=(80, 120, 3))
    check("compute_ciou", BOXES, OTHERS, "xyxy")
    masked = ours.compute_iou(-np.ones((1, 4)), BOXES[0], "xyxy", use_masking=True)
    np.testing.assert_array_equal(masked.numpy(), -1)


def test_bad_formats():
    for arguments, match in (
        ((BOXES, "xy", "xyxy"), "source"),
        ((BOXES, "xyxy", "rel_xyxy"), "height"),
        ((BOXES[..., :3], "xyxy", "xywh"), "shape"),
    ):
        with pytest.raises(ValueError, match=match):
            ours.convert_format(*arguments)


def suppressed(boxes, scores, threshold):
    """The same, one box after the other."""
    kept = []
    for i in np.argsort(-scores):
        overlaps = [float(ours.compute_iou(boxes[i : i + 1], boxes[j : j + 1], "xyxy").numpy()[0, 0]) for j in kept]
        if not any(o > threshold for o in overlaps):
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_non_max_suppression(threshold):
    corner = rng.uniform(0, 20, size=(14, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 15, size=(14, 2))], -1).astype("float32")
    scores = rng.uniform(size=14).astype("float32")
    kept = suppressed(boxes, scores, threshold)
    found = ours.non_max_suppression(boxes, scores, threshold, 20).numpy()
    assert found.tolist() == kept + [-1] * (20 - len(kept))
    assert ours.non_max_suppression(boxes, scores, threshold, 2).numpy().tolist() == kept[:2]
    moved = ours.convert_format(boxes, "xyxy", "center_xywh")
    assert ours.non_max_suppression(moved, scores, threshold, 20, "center_xywh").numpy().tolist() == found.tolist()
    with pytest.raises(ValueError, match="non_max_suppression"):
        ours.non_max_suppression(boxes, scores[1:], threshold, 2)


def test_dicts_of_boxes_and_of_levels():
    boxes = {"boxes": BOXES, "labels": np.zeros((2, 5))}
    found = ours.convert_format(boxes, "xyxy", "xywh")
    np.testing.assert_array_equal(found["boxes"], ours.convert_format(BOXES, "xyxy", "xywh"))
    assert found["labels"] is boxes["labels"]
    anchors = {"P3": BOXES[0], "P4": BOXES[1]}
    deltas = {level: ours.encode_box_to_deltas(anchor, OTHERS[0], "xyxy", "xyxy") for level, anchor in anchors.items()}
    decoded = ours.decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy")
    for level in anchors:
        one = ours.decode_deltas_to_boxes(anchors[level], deltas[level], "xyxy", "xyxy")
        np.testing.assert_array_equal(decoded[level], one)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"encoding_format": "xyxy"}, "must be 'center_xywh' or 'center_yxhw', but got 'xyxy'"),
        ({"variance": [0.1, 0.2]}, "`variance` must hold 4 numbers"),
    ],
)
def test_encodings_that_are_none(options, words):
    with pytest.raises(ValueError, match=words):
        ours.encode_box_to_deltas(BOXES, OTHERS, "xyxy", "xyxy", **options)
