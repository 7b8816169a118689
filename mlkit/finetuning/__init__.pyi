# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.finetuning.cross_validation import cross_validated as cross_validated
from mlkit.finetuning.folds import Folds as Folds
from mlkit.finetuning.frozen_features import FreshFeatures as FreshFeatures
from mlkit.finetuning.frozen_features import features as features
from mlkit.finetuning.groups import discriminative_rates as discriminative_rates
from mlkit.finetuning.groups import layer_groups as layer_groups
from mlkit.finetuning.keep_best import KeepBest as KeepBest
from mlkit.finetuning.photo_data import photo_datasets as photo_datasets
from mlkit.finetuning.rate_search import LearningRateSearch as LearningRateSearch
from mlkit.finetuning.recipe import FineTuned as FineTuned
from mlkit.finetuning.recorder import Recorder as Recorder
from mlkit.finetuning.several_runs import SeveralRuns as SeveralRuns
from mlkit.finetuning.several_runs import finetune_several as finetune_several
