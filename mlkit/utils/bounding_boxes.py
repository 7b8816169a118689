"""Bounding boxes: their formats, clipping, moving, regression targets, and how much they overlap.

Boxes are tensors (boxes, 4) or (batch, boxes, 4). A format names the four numbers: "xyxy" is left, top, right, bottom; "yxyx"
top, left, bottom, right; "xywh" left, top, width, height; "center_xywh" and "center_yxhw" middle and size; with "rel_" in front
(xyxy, yxyx, xywh, center_xywh) they are parts of the image's width and height, which must then be given.
"""

import math
from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Structure, TensorLike

__all__ = [
    "affine_transform",
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "encode_box_to_deltas",
    "non_max_suppression",
    "pad",
]

_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def convert_format(
    boxes: Structure, source: str, target: str, height: Any = None, width: Any = None, dtype: DType = "float32"
) -> Structure:
    """Boxes of the format `source` in the format `target`; a dict with "boxes" and "labels" is converted in "boxes".

    Args:
        source, target: names of formats, see the head of this page.
        dtype: of the boxes.

    >>> import numpy
    >>> convert_format(numpy.array([[10, 20, 30, 40]]), "xyxy", "center_xywh").numpy()
    array([[20., 30., 20., 20.]], dtype=float32)
    """
    if isinstance(boxes, dict):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    source, target = source.lower(), target.lower()
    for name, value in (("source", source), ("target", target)):
        if value not in _FORMATS:
            raise ValueError(f"convert_format: unknown `{name}` {value!r}; it must be one of {_FORMATS}.")
        if value.startswith("rel_") and (height is None or width is None):
            raise ValueError(f"convert_format: for {value!r}, it must receive `height` and `width` of the image.")
    boxes = ops.cast(ops.convert_to_tensor(boxes), dtype)
    if boxes.ndim not in (1, 2, 3) or boxes.shape[-1] != 4:
        raise ValueError(f"convert_format: expected boxes of shape (..., 4), but got {boxes.shape}.")
    if source == target:
        return boxes
    size = None if height is None or width is None else (width, height)
    corners = _to_corners(ops.split(boxes, 4, axis=-1), source, size)
    return ops.concatenate(_from_corners(corners, target, size), axis=-1)


def _to_corners(numbers: Sequence[Tensor], source: str, size: Sequence[Any]) -> Sequence[Tensor]:
    """left, top, right, bottom in pixels."""
    kind = source.removeprefix("rel_")
    a, b, c, d = numbers
    if kind in ("yxyx", "center_yxhw"):
        a, b, c, d = b, a, d, c
    if kind.startswith("center"):
        a, b = a - c / 2, b - d / 2
    if "h" in kind:
        c, d = a + c, b + d
    if source.startswith("rel_"):
        a, b, c, d = a * size[0], b * size[1], c * size[0], d * size[1]
    return a, b, c, d


def _from_corners(corners: Sequence[Tensor], target: str, size: Sequence[Any]) -> Sequence[Tensor]:
    kind = target.removeprefix("rel_")
    a, b, c, d = corners
    if target.startswith("rel_"):
        a, b, c, d = a / size[0], b / size[1], c / size[0], d / size[1]
    if "h" in kind:
        c, d = c - a, d - b
    if kind.startswith("center"):
        a, b = a + c / 2, b + d / 2
    return [b, a, d, c] if kind in ("yxyx", "center_yxhw") else [a, b, c, d]


def clip_to_image_size(
    bounding_boxes: dict[str, Any], height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> dict[str, Any]:
    """The parts of boxes inside the image; the labels of boxes quite outside become -1.

    Args:
        bounding_boxes: dict with "boxes" and "labels", of format "xyxy" or "rel_xyxy".
    """
    if bounding_box_format not in ("xyxy", "rel_xyxy"):
        raise NotImplementedError(f"clip_to_image_size: format {bounding_box_format!r}; convert the boxes to 'xyxy' first.")
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    elif height is None or width is None:
        raise ValueError("clip_to_image_size: `height` and `width` must be given for format 'xyxy'.")
    x1, y1, x2, y2 = ops.split(ops.convert_to_tensor(bounding_boxes["boxes"]), 4, axis=-1)
    x1, x2 = ops.clip(x1, 0, width), ops.clip(x2, 0, width)
    y1, y2 = ops.clip(y1, 0, height), ops.clip(y2, 0, height)
    seen = (x2 - x1) * (y2 - y1) > 0
    labels = ops.convert_to_tensor(bounding_boxes["labels"])
    seen = ops.reshape(seen, (*seen.shape[:-1], *(1,) * (labels.ndim - seen.ndim + 1)))
    boxes = ops.concatenate([x1, y1, x2, y2], axis=-1)
    return {**bounding_boxes, "boxes": boxes, "labels": ops.where(seen, labels, -ops.ones_like(labels))}


def _corners_only(name: str, bounding_box_format: str) -> None:
    if bounding_box_format != "xyxy":
        raise NotImplementedError(f"{name}: format {bounding_box_format!r}; convert the boxes to 'xyxy' first.")


def crop(boxes: Structure, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Tensor:
    """Boxes as seen in the part of the image that begins at (top, left) and has this height and width.

    Args:
        top, left: corner of the part, in pixels.
        height, width: of the part, in pixels.
    """
    _corners_only("crop", bounding_box_format)
    x1, y1, x2, y2 = ops.split(ops.convert_to_tensor(boxes), 4, axis=-1)
    x1, x2 = (ops.clip(x - left, 0, width) for x in (x1, x2))
    y1, y2 = (ops.clip(y - top, 0, height) for y in (y1, y2))
    return ops.concatenate([x1, y1, x2, y2], axis=-1)


def pad(
    boxes: Structure, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Tensor:
    """Boxes as seen in the image with `top` rows and `left` columns added; height and width play no part.

    Args:
        top, left: rows and columns of pixels that are added.
        height, width: of the image; they play no part.
    """
    _corners_only("pad", bounding_box_format)
    x1, y1, x2, y2 = ops.split(ops.convert_to_tensor(boxes), 4, axis=-1)
    return ops.concatenate([x1 + left, y1 + top, x2 + left, y2 + top], axis=-1)


def affine_transform(
    boxes: Structure,
    angle: TensorLike,
    translate_x: TensorLike,
    translate_y: TensorLike,
    scale: TensorLike,
    shear_x: TensorLike,
    shear_y: TensorLike,
    height: Any,
    width: Any,
    center_x: TensorLike | None = None,
    center_y: TensorLike | None = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The boxes around what becomes of boxes (batch, boxes, 4) when an image is turned, shifted, scaled and sheared.

    Args:
        angle, shear_x, shear_y: in degrees, (batch,).
        translate_x, translate_y, center_x, center_y: parts of the image's width and height; the centre is the middle by
            default.
        scale: factor.
    """
    _corners_only("affine_transform", bounding_box_format)
    boxes = ops.cast(ops.convert_to_tensor(boxes), "float32")
    numbers = (angle, translate_x, translate_y, scale, shear_x, shear_y)
    angle, translate_x, translate_y, scale, shear_x, shear_y = (
        ops.reshape(ops.cast(ops.convert_to_tensor(n), "float32"), (-1, 1, 1)) for n in numbers
    )
    turn, slant_x, slant_y = (-x * (math.pi / 180) for x in (angle, shear_x, shear_y))
    # rotation and shear without scale have determinant 1, so the inverse only exchanges and negates
    a = ops.cos(turn - slant_y) / ops.cos(slant_y)
    c = -ops.sin(turn - slant_y) / ops.cos(slant_y)
    b, d = a * ops.tan(slant_x) + ops.sin(turn), ops.cos(turn) - c * ops.tan(slant_x)
    middle_x = (0.5 if center_x is None else center_x) * (width - 1)
    middle_y = (0.5 if center_y is None else center_y) * (height - 1)
    x1, y1, x2, y2 = ops.split(boxes, 4, axis=-1)
    x = ops.concatenate([x1, x2, x2, x1], axis=-1) - middle_x + translate_x * (width - 1)
    y = ops.concatenate([y1, y1, y2, y2], axis=-1) - middle_y + translate_y * (height - 1)
    moved_x, moved_y = middle_x + scale * (d * x - b * y), middle_y + scale * (a * y - c * x)
    edges = [f(m, axis=-1) for f in (ops.min, ops.max) for m in (moved_x, moved_y)]
    return ops.stack(edges, axis=-1)


def encode_box_to_deltas(
    anchors: TensorLike,
    boxes: Structure,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """What a detector is to predict for boxes, given anchors: shifts in units of the anchor, and logarithms of size ratios.

    Args:
        variance: four numbers the targets are divided by.
        image_shape: (height, width, channels), for relative formats.
        encoding_format: "center_yxhw" or "center_xywh", of the targets.

    Ren et al., Faster R-CNN, 2015.
    """
    size = _size(encoding_format, "encoding_format", variance, image_shape)
    anchors = convert_format(anchors, anchor_format, encoding_format, *size)
    boxes = convert_format(boxes, box_format, encoding_format, *size)
    scale = ops.maximum(anchors[..., 2:], epsilon())
    shift = (boxes[..., :2] - anchors[..., :2]) / scale
    deltas = ops.concatenate([shift, ops.log(ops.maximum(boxes[..., 2:], epsilon()) / scale)], axis=-1)
    return deltas if variance is None else deltas / ops.convert_to_tensor(variance, "float32")


def decode_deltas_to_boxes(
    anchors: TensorLike,
    boxes_delta: Structure,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Structure:
    """The boxes that predictions mean: the inverse of `encode_box_to_deltas`. Dicts by level are decoded one by one.

    Args:
        boxes_delta: (..., anchors, 4), or a dict by level.
        encoded_format: "center_yxhw" or "center_xywh", of the predictions.
    """
    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        options = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {level: decode_deltas_to_boxes(anchor, boxes_delta[level], *options) for level, anchor in anchors.items()}
    size = _size(encoded_format, "encoded_format", variance, image_shape)
    anchors = convert_format(anchors, anchor_format, encoded_format, *size)
    deltas = ops.convert_to_tensor(boxes_delta)
    if variance is not None:
        deltas = deltas * ops.convert_to_tensor(variance, "float32")
    scale = anchors[..., 2:]
    boxes = ops.concatenate([deltas[..., :2] * scale + anchors[..., :2], ops.exp(deltas[..., 2:]) * scale], axis=-1)
    return convert_format(boxes, encoded_format, box_format, *size)


def _size(encoding, name, variance: Sequence[float] | None, image_shape: Sequence[int] | None):
    """(height, width) for conversions, once the options are found good."""
    if encoding not in ("center_xywh", "center_yxhw"):
        raise ValueError(f"`{name}` must be 'center_xywh' or 'center_yxhw', but got {encoding!r}.")
    if variance is not None and len(variance) != 4:
        raise ValueError(f"`variance` must hold 4 numbers, but got {variance!r}.")
    return (None, None) if image_shape is None else tuple(image_shape)[:2]


def compute_iou(
    boxes1: TensorLike,
    boxes2: TensorLike,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: TensorLike = -1,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """Intersection over union of each of the first boxes with each of the second: (..., boxes1, boxes2).

    Args:
        use_masking: boxes whose numbers are all negative stand for none; their values are `mask_val`.
        image_shape: (height, width, channels), for relative formats.
        mask_val: the value for boxes that stand for none.

    >>> import numpy
    >>> compute_iou(numpy.array([[0, 0, 2, 2]]), numpy.array([[1, 0, 3, 2]]), "xyxy").numpy().round(3)
    array([[0.333]], dtype=float32)
    """
    size = (None, None) if image_shape is None else tuple(image_shape)[:2]
    first, second = (convert_format(b, bounding_box_format, "xyxy", *size) for b in (boxes1, boxes2))
    for name, boxes in (("boxes1", first), ("boxes2", second)):
        if boxes.ndim not in (2, 3):
            raise ValueError(f"compute_iou: expected `{name}` of shape (boxes, 4) or (batch, boxes, 4), but got {boxes.shape}.")
    a, b = ops.expand_dims(first, -2), ops.expand_dims(second, -3)
    sides = ops.maximum(ops.minimum(a[..., 2:], b[..., 2:]) - ops.maximum(a[..., :2], b[..., :2]), 0)
    common = ops.prod(sides, axis=-1)
    areas = [ops.prod(x[..., 2:] - x[..., :2], axis=-1) for x in (a, b)]
    out = common / (areas[0] + areas[1] - common + epsilon())
    if not use_masking:
        return out
    absent = ops.logical_or(ops.max(a, axis=-1) < 0, ops.max(b, axis=-1) < 0)
    return ops.where(absent, ops.cast(mask_val, out.dtype), out)


def compute_ciou(
    boxes1: TensorLike, boxes2: TensorLike, bounding_box_format: str, image_shape: Sequence[int] | None = None
) -> Tensor:
    """Complete intersection over union of boxes with those at the same place: lower for distant middles and other shapes.

    Zheng et al., Distance-IoU loss, 2020.
    """
    size = (None, None) if image_shape is None else tuple(image_shape)[:2]
    a, b = (convert_format(x, bounding_box_format, "xyxy", *size) for x in (boxes1, boxes2))
    side_a, side_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    common = ops.prod(ops.maximum(ops.minimum(a[..., 2:], b[..., 2:]) - ops.maximum(a[..., :2], b[..., :2]), 0), axis=-1)
    iou = common / (ops.prod(side_a, axis=-1) + ops.prod(side_b, axis=-1) - common + epsilon())
    around = ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])
    between = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    distance = ops.sum(between**2, axis=-1) / (ops.sum(around**2, axis=-1) + epsilon())
    ratios = [ops.arctan(s[..., 0] / (s[..., 1] + epsilon())) for s in (side_a, side_b)]
    shape = (4 / math.pi**2) * (ratios[1] - ratios[0]) ** 2
    return iou - distance - shape * shape / (shape - iou + 1 + epsilon())


def non_max_suppression(boxes, scores, iou_threshold: float, max_output: int, bounding_box_format: str = "xyxy"):
    """Indices of the boxes that remain where of those which overlap only the best is kept, the best first.

    Args:
        boxes: (boxes, 4).
        scores: (boxes,).
        iou_threshold: boxes that overlap a better one by more are dropped.
        max_output: length of the result, whatever is found: (max_output,), int32, -1 behind the last.

    >>> import numpy
    >>> boxes = numpy.array([[0, 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6]])
    >>> non_max_suppression(boxes, numpy.array([0.5, 0.9, 0.1]), 0.5, 3).numpy().tolist()
    [1, 2, -1]
    """
    boxes, scores = ops.convert_to_tensor(boxes), ops.convert_to_tensor(scores, dtype="float32")
    if boxes.ndim != 2 or scores.shape != boxes.shape[:1]:
        raise ValueError(
            f"non_max_suppression: expected `boxes` of shape (boxes, 4) and `scores` of shape (boxes,), but got {boxes.shape} and "
            f"{scores.shape}."
        )
    overlaps = compute_iou(boxes, boxes, bounding_box_format) > iou_threshold
    places = ops.arange(max_output, dtype="int32")

    def keep_best(i, state):
        left, found = state
        best = ops.cast(ops.argmax(left), "int32")
        index = ops.where(ops.max(left) > -math.inf, best, -1)
        itself = ops.arange(left.shape[0], dtype="int32") == best
        left = ops.where(ops.logical_or(ops.take(overlaps, best, axis=0), itself), -math.inf, left)
        return left, ops.where(places == i, index, found)

    start = scores, ops.full((max_output,), -1, dtype="int32")
    return ops.fori_loop(0, max_output, keep_best, start)[1]
