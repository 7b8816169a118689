"""Pictures of training and of what a model sees: plain HTML that notebooks show, and matplotlib figures where it is installed.

Every picture has `figure()`, a matplotlib figure, and `save(path)`; in a notebook it shows itself.
"""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".activation_maps": "grad_cam",
        ".annotations": "draw_bounding_boxes draw_segmentation_masks",
        "mlkit.pictures.charts": "LineChart learning_curves",
        ".cleaning": "ToClean apply_labels",
        ".comparison": "Comparison compare",
        ".confusion": "ConfusionMatrix confusion_matrix",
        "mlkit.pictures.gallery": "Gallery",
        ".image_gallery": "plot_bounding_box_gallery plot_image_gallery plot_segmentation_mask_gallery",
        "mlkit.pictures.picture": "Page Picture",
        "mlkit.pictures.table": "Table",
        "mlkit.data.samples": "show_batch",
        ".predictions": "Predictions predictions_of",
        ".scores": "Calibration ClassScores",
    },
)
