"""Boxes and masks drawn into images."""

from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import image_data_format
from mlkit.core.deferred import Deferred
from mlkit.utils.bounding_boxes import convert_format

Image, ImageDraw, ImageFont = Deferred("PIL.Image"), Deferred("PIL.ImageDraw"), Deferred("PIL.ImageFont")

_LETTERS = 12  # height of letters of scale 1, in pixels


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: dict[str, Any],
    bounding_box_format: str,
    class_mapping: dict[int, str] | None = None,
    color: Any = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with boxes drawn into them, as a uint8 array.

    Args:
        images: (batch, height, width, channels), of 0 to 255 or floats of 0 to 1.
        bounding_boxes: dict with "boxes" (batch, boxes, 4), "labels" (batch, boxes) and it may be "confidences"; those of label
            -1 are left out.
        bounding_box_format: as in `utils.bounding_boxes.convert_format`.
        class_mapping: class -> the text beside its boxes.
        color: red, green, blue.
        text_thickness: width of the letters' strokes.
        data_format: of the images.
        line_thickness: pixels.
        font_scale: size of the letters, 1 for the usual one.

    >>> import numpy as np
    >>> boxes = {"boxes": np.array([[[1, 1, 4, 4]]]), "labels": np.array([[0]])}
    >>> draw_bounding_boxes(np.zeros((1, 6, 6, 3)), boxes, "xyxy", color=(255, 0, 0), line_thickness=1)[0, 1, :, 0].tolist()
    [0, 255, 255, 255, 255, 0]
    """
    if len(np.shape(images)) != 4:
        raise ValueError(f"`images` must be batched 4D tensor. Received: images.shape={np.shape(images)}")
    if not isinstance(bounding_boxes, dict):
        raise TypeError(f"`bounding_boxes` should be a dict. Received: {bounding_boxes!r} of type {type(bounding_boxes)}")
    if "boxes" not in bounding_boxes or "labels" not in bounding_boxes:
        raise ValueError(
            f"`bounding_boxes` should be a dict containing 'boxes' and 'labels' keys. Received: {sorted(bounding_boxes)}"
        )
    pixels = _bytes(_channels_last(images, data_format))
    found = convert_format(dict(bounding_boxes), bounding_box_format, "xyxy", *pixels.shape[1:3])
    boxes, labels = (np.asarray(ops.convert_to_numpy(found[key])).astype("int64") for key in ("boxes", "labels"))
    confidences = ops.convert_to_numpy(bounding_boxes["confidences"]) if "confidences" in bounding_boxes else None
    drawn, font = [], ImageFont.load_default(max(1, round(_LETTERS * font_scale)))
    for i, image in enumerate(pixels):
        single = image.shape[-1] == 1
        canvas = Image.fromarray(image[..., 0] if single else image)
        ink = int(np.mean(color)) if single else tuple(color)
        draw = ImageDraw.Draw(canvas)
        for j, (x1, y1, x2, y2) in enumerate(boxes[i].tolist()):
            label = int(labels[i, j])
            if label == -1:
                continue
            draw.rectangle([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)], outline=ink, width=line_thickness)
            if label in (class_mapping or {}):
                text = class_mapping[label] + (f" | {confidences[i, j]:.2f}" if confidences is not None else "")
                above = y1 - _LETTERS * font_scale - 4
                place = (x1, above) if above >= 0 else (x1 + 3, y1 + 3)
                draw.text(place, text, ink, font, stroke_width=max(0, text_thickness - 1))
        drawn.append(np.asarray(canvas).reshape(image.shape))
    return _as_given(np.stack(drawn), data_format)


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: dict[int, Any] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> Any:
    """Images with the classes of their pixels as colors over them.

    Args:
        images: (batch, height, width, channels) of 0 to 255.
        segmentation_masks: integers (batch, height, width, 1), the class of each pixel.
        num_classes: one more than the greatest by default.
        color_mapping: class -> (red, green, blue).
        alpha: how much of the color is seen.
        blend: False for plain colors.
        ignore_index: the class of pixels that stay as they are.

    >>> import numpy as np
    >>> masks = np.array([[[[0], [1]]]])
    >>> draw_segmentation_masks(np.zeros((1, 1, 2, 3)), masks, color_mapping={0: (0, 0, 0), 1: (250, 0, 0)}, alpha=0.5)[0, 0].tolist()
    [[0, 0, 0], [125, 0, 0]]
    """
    if len(np.shape(images)) != 4:
        raise ValueError(f"`images` must be batched 4D tensor. Received: images.shape={np.shape(images)}")
    pixels = _channels_last(images, data_format).astype("float32")
    classes = _channels_last(segmentation_masks, data_format)
    if classes.dtype.kind not in "iu":
        raise TypeError(f"`segmentation_masks` must be in integer dtype. Received: segmentation_masks.dtype={classes.dtype}")
    classes = classes[..., 0] if classes.ndim == 4 else classes
    count = int(classes.max()) + 1 if num_classes is None else num_classes
    colors = _palette(count) if color_mapping is None else [color_mapping[i] for i in range(count)]
    table = np.asarray(colors, "float32").reshape(count, -1)
    colored = np.where(((classes >= 0) & (classes < count))[..., None], table[np.clip(classes, 0, count - 1)], pixels)
    if not blend:
        return colored
    seen = (classes != ignore_index)[..., None]
    return np.where(seen, pixels * (1 - alpha) + colored * alpha, pixels).astype("uint8")


def _palette(count):
    """Colors that differ, black first."""
    return [[i * n % 255 for n in (2**25 - 1, 2**15 - 1, 2**21 - 1)] for i in range(count)]


def _channels_last(images, data_format):
    array = np.asarray(ops.convert_to_numpy(images))
    first = (data_format or image_data_format()) == "channels_first"
    return np.moveaxis(array, 1, -1) if first and array.ndim == 4 else array


def _as_given(images, data_format):
    return np.moveaxis(images, -1, 1) if (data_format or image_data_format()) == "channels_first" else images


def _bytes(images):
    """Pixels of 0 to 255."""
    if images.dtype.kind == "f" and images.size:
        images = np.clip(images, 0, 1) * 255 if images.max() <= 1.0 else np.clip(images, 0, 255)
    return np.ascontiguousarray(images.astype("uint8"))
