"""Images side by side, plain or with boxes or masks drawn into them, as matplotlib draws them."""

import functools
import math
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import image_data_format
from mlkit.core.deferred import Deferred
from mlkit.visualization.annotations import draw_bounding_boxes, draw_segmentation_masks

_MISSING = "Galleries are drawn by matplotlib: pip install matplotlib"
plt, patches = Deferred("matplotlib.pyplot", _MISSING), Deferred("matplotlib.patches", _MISSING)


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: dict[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Any = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> None:
    """Show images in rows and columns, or write them to a file.

    Args:
        images: (batch, height, width, channels).
        y_true, y_pred: classes, written above by the names of `label_map`.
        value_range: of the pixels.
        scale: inches an image.
        path: file to write; without one the gallery is shown, unless `show` is False: then it is matplotlib's current figure.
        dpi, transparent: of the file.
        legend_handles: matplotlib patches for a legend.
        label_map: class -> text.
        rows, cols: of the gallery; by default it is about as wide as high.
        show: whether to show it, see `path`.
    """
    if path is not None and show:
        raise ValueError("plot_image_gallery: expected either `path` to be set, or `show` to be true.")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ValueError("If `y_true` or `y_pred` are provided, a `label_map` must also be provided.")
    pixels = _batch(images, data_format)
    rows = rows or math.ceil(math.sqrt(len(pixels)))
    cols = cols or math.ceil(len(pixels) / rows)
    low, high = value_range
    pixels = np.clip((pixels[: rows * cols].astype("float32") - low) / (high - low) * 255, 0, 255).astype("uint8")
    figure, axes = plt.subplots(rows, cols, figsize=(cols * scale, rows * scale), frameon=False, layout="tight", squeeze=False)
    titles = [("Label", _classes(y_true)), ("Pred", _classes(y_pred))]
    for i, axis in enumerate(axes.flat):
        axis.axis("off")
        if i < len(pixels):
            axis.imshow(pixels[i], cmap="gray" if pixels.shape[-1] == 1 else None)
            found = [f"{word}: {label_map.get(known[i], 'Unknown')}" for word, known in titles if i < len(known)]
            axis.set_title("  ".join(found), fontsize=8)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    if path is not None:
        figure.savefig(path, pad_inches=0, bbox_inches="tight", transparent=transparent, dpi=dpi)
        plt.close(figure)
    elif show or show is None:
        plt.show()
        plt.close(figure)


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Any = None,
    y_pred: Any = None,
    value_range: Any = (0, 255),
    true_color: Any = (0, 188, 212),
    pred_color: Any = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: dict[int, str] | None = None,
    ground_truth_mapping: dict[int, str] | None = None,
    prediction_mapping: dict[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Images with true and predicted boxes, as `draw_bounding_boxes` draws them, shown by `plot_image_gallery`.

    Args:
        y_true, y_pred: dicts of boxes.
        legend: whether to say which color is which.
        kwargs: for `plot_image_gallery`.
        images: (batch, height, width, channels).
        true_color, pred_color: (red, green, blue) of the boxes, each from 0 to 255.
        line_thickness, text_thickness, font_scale: as in `draw_bounding_boxes`.
        class_mapping: class -> the text beside its boxes, where the next two are not given.
        ground_truth_mapping, prediction_mapping: class -> text, for the true and for the predicted boxes.
        legend_handles: matplotlib patches for the legend, by default one for each color.
        rows, cols: of the gallery; by default it is about as wide as high.
    """
    if legend and legend_handles:
        raise ValueError("plot_bounding_box_gallery: only pass `legend` or `legend_handles`.")
    drawn = _batch(images, data_format)
    draw = functools.partial(
        draw_bounding_boxes, bounding_box_format=bounding_box_format, line_thickness=line_thickness, font_scale=font_scale,
        text_thickness=text_thickness or line_thickness, data_format="channels_last",
    )  # fmt: skip
    for boxes, color, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            drawn = draw(drawn, boxes, color=color, class_mapping=names)
    if legend:
        pairs = (("Ground Truth", true_color), ("Prediction", pred_color))
        legend_handles = [patches.Patch(color=np.array(color) / 255.0, label=label) for label, color in pairs]
    options = {"value_range": value_range, "legend_handles": legend_handles, "rows": rows, "cols": cols, **kwargs}
    plot_image_gallery(drawn, data_format="channels_last", **options)


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Any = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: dict[int, Any] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """A row an image: itself, with its true masks, with the predicted ones. See `draw_segmentation_masks`, `plot_image_gallery`.

    Args:
        images: (batch, height, width, channels).
        num_classes: number of classes.
        y_true, y_pred: masks, integers (batch, height, width, 1), or None.
        color_mapping, blend, alpha, ignore_index: as in `draw_segmentation_masks`.
    """
    pixels = _batch(images, data_format)
    columns = [pixels]
    for masks in (y_true, y_pred):
        if masks is not None:
            classes = _batch(masks, data_format).astype("int32")
            columns.append(
                draw_segmentation_masks(
                    pixels, classes, num_classes, color_mapping, alpha, blend, ignore_index, data_format="channels_last"
                )
            )
    gallery = np.stack(columns, axis=1).reshape(-1, *pixels.shape[1:])
    plot_image_gallery(
        gallery, value_range=value_range, rows=len(pixels), cols=len(columns), data_format="channels_last", **kwargs
    )


def _batch(images, data_format):
    """Images as an array, channels last."""
    array = np.asarray(ops.convert_to_numpy(images))
    if array.ndim != 4:
        raise ValueError(f"`images` must be batched 4D tensor. Received: images.shape={array.shape}")
    return np.moveaxis(array, 1, -1) if (data_format or image_data_format()) == "channels_first" else array


def _classes(labels):
    return [] if labels is None else np.asarray(ops.convert_to_numpy(labels)).ravel().tolist()
