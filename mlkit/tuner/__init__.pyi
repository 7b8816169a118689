# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.tuner.hypermodel import HyperModel as HyperModel
from mlkit.tuner.hyperparameters import HyperParameters as HyperParameters
from mlkit.tuner.objective import Objective as Objective
from mlkit.tuner.searches import BayesianOptimization as BayesianOptimization
from mlkit.tuner.searches import GridSearch as GridSearch
from mlkit.tuner.searches import Hyperband as Hyperband
from mlkit.tuner.searches import RandomSearch as RandomSearch
from mlkit.tuner.trial import Trial as Trial
from mlkit.tuner.tuner import Tuner as Tuner
