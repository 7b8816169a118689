# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.distillation.distillation_loss import DistillationLoss as DistillationLoss
from mlkit.distillation.distillation_loss import FeatureDistillation as FeatureDistillation
from mlkit.distillation.distillation_loss import LogitsDistillation as LogitsDistillation
from mlkit.distillation.distiller import Distiller as Distiller
