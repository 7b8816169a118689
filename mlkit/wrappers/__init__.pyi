# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.wrappers.estimators import SKLearnClassifier as SKLearnClassifier
from mlkit.wrappers.estimators import SKLearnRegressor as SKLearnRegressor
from mlkit.wrappers.estimators import SKLearnTransformer as SKLearnTransformer
