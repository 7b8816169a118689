# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.losses.crossentropy import binary_crossentropy as binary_crossentropy
from mlkit.losses.crossentropy import binary_focal_crossentropy as binary_focal_crossentropy
from mlkit.losses.crossentropy import categorical_crossentropy as categorical_crossentropy
from mlkit.losses.crossentropy import categorical_focal_crossentropy as categorical_focal_crossentropy
from mlkit.losses.crossentropy import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from mlkit.losses.hinge import categorical_hinge as categorical_hinge
from mlkit.losses.hinge import hinge as hinge
from mlkit.losses.hinge import squared_hinge as squared_hinge
from mlkit.losses.regression import huber as huber
from mlkit.losses.regression import kl_divergence as kl_divergence
from mlkit.losses.regression import log_cosh as log_cosh
from mlkit.losses.regression import mean_absolute_error as mean_absolute_error
from mlkit.losses.regression import mean_absolute_percentage_error as mean_absolute_percentage_error
from mlkit.losses.regression import mean_squared_error as mean_squared_error
from mlkit.losses.regression import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from mlkit.losses.regression import poisson as poisson
from mlkit.metrics.accuracy import Accuracy as Accuracy
from mlkit.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from mlkit.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from mlkit.metrics.accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from mlkit.metrics.accuracy import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from mlkit.metrics.accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from mlkit.metrics.accuracy import binary_accuracy as binary_accuracy
from mlkit.metrics.accuracy import categorical_accuracy as categorical_accuracy
from mlkit.metrics.accuracy import sparse_categorical_accuracy as sparse_categorical_accuracy
from mlkit.metrics.accuracy import sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy
from mlkit.metrics.accuracy import top_k_categorical_accuracy as top_k_categorical_accuracy
from mlkit.metrics.auc import AUC as AUC
from mlkit.metrics.confusion import FalseNegatives as FalseNegatives
from mlkit.metrics.confusion import FalsePositives as FalsePositives
from mlkit.metrics.confusion import Precision as Precision
from mlkit.metrics.confusion import PrecisionAtRecall as PrecisionAtRecall
from mlkit.metrics.confusion import Recall as Recall
from mlkit.metrics.confusion import RecallAtPrecision as RecallAtPrecision
from mlkit.metrics.confusion import SensitivityAtSpecificity as SensitivityAtSpecificity
from mlkit.metrics.confusion import SpecificityAtSensitivity as SpecificityAtSensitivity
from mlkit.metrics.confusion import TrueNegatives as TrueNegatives
from mlkit.metrics.confusion import TruePositives as TruePositives
from mlkit.metrics.f_score import F1Score as F1Score
from mlkit.metrics.f_score import FBetaScore as FBetaScore
from mlkit.metrics.iou import BinaryIoU as BinaryIoU
from mlkit.metrics.iou import IoU as IoU
from mlkit.metrics.iou import MeanIoU as MeanIoU
from mlkit.metrics.iou import OneHotIoU as OneHotIoU
from mlkit.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from mlkit.metrics.metric import Metric as Metric
from mlkit.metrics.of_losses import BinaryCrossentropy as BinaryCrossentropy
from mlkit.metrics.of_losses import CategoricalCrossentropy as CategoricalCrossentropy
from mlkit.metrics.of_losses import CategoricalHinge as CategoricalHinge
from mlkit.metrics.of_losses import Hinge as Hinge
from mlkit.metrics.of_losses import KLDivergence as KLDivergence
from mlkit.metrics.of_losses import LogCoshError as LogCoshError
from mlkit.metrics.of_losses import MeanAbsoluteError as MeanAbsoluteError
from mlkit.metrics.of_losses import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from mlkit.metrics.of_losses import MeanSquaredError as MeanSquaredError
from mlkit.metrics.of_losses import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from mlkit.metrics.of_losses import Poisson as Poisson
from mlkit.metrics.of_losses import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from mlkit.metrics.of_losses import SquaredHinge as SquaredHinge
from mlkit.metrics.reduction import Mean as Mean
from mlkit.metrics.reduction import MeanMetricWrapper as MeanMetricWrapper
from mlkit.metrics.reduction import Sum as Sum
from mlkit.metrics.regression import ConcordanceCorrelation as ConcordanceCorrelation
from mlkit.metrics.regression import CosineSimilarity as CosineSimilarity
from mlkit.metrics.regression import PearsonCorrelation as PearsonCorrelation
from mlkit.metrics.regression import R2Score as R2Score
from mlkit.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from mlkit.metrics.regression import concordance_correlation as concordance_correlation
from mlkit.metrics.regression import pearson_correlation as pearson_correlation
from typing import Any

def deserialize(config, custom_objects: dict[str, Any] | None=None): ...
def get(identifier): ...
def serialize(metric): ...
