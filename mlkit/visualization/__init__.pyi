# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.data.samples import show_batch as show_batch
from mlkit.pictures.charts import LineChart as LineChart
from mlkit.pictures.charts import learning_curves as learning_curves
from mlkit.pictures.gallery import Gallery as Gallery
from mlkit.pictures.picture import Page as Page
from mlkit.pictures.picture import Picture as Picture
from mlkit.pictures.table import Table as Table
from mlkit.visualization.activation_maps import grad_cam as grad_cam
from mlkit.visualization.annotations import draw_bounding_boxes as draw_bounding_boxes
from mlkit.visualization.annotations import draw_segmentation_masks as draw_segmentation_masks
from mlkit.visualization.cleaning import ToClean as ToClean
from mlkit.visualization.cleaning import apply_labels as apply_labels
from mlkit.visualization.comparison import Comparison as Comparison
from mlkit.visualization.comparison import compare as compare
from mlkit.visualization.confusion import ConfusionMatrix as ConfusionMatrix
from mlkit.visualization.confusion import confusion_matrix as confusion_matrix
from mlkit.visualization.image_gallery import plot_bounding_box_gallery as plot_bounding_box_gallery
from mlkit.visualization.image_gallery import plot_image_gallery as plot_image_gallery
from mlkit.visualization.image_gallery import plot_segmentation_mask_gallery as plot_segmentation_mask_gallery
from mlkit.visualization.predictions import Predictions as Predictions
from mlkit.visualization.predictions import predictions_of as predictions_of
from mlkit.visualization.scores import Calibration as Calibration
from mlkit.visualization.scores import ClassScores as ClassScores
