# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.optimizers import legacy as legacy
from mlkit.optimizers import schedules as schedules
from mlkit.optimizers.adafactor import Adafactor as Adafactor
from mlkit.optimizers.adagrad import Adadelta as Adadelta
from mlkit.optimizers.adagrad import Adagrad as Adagrad
from mlkit.optimizers.adam import Adam as Adam
from mlkit.optimizers.adam import AdamW as AdamW
from mlkit.optimizers.adam import Adamax as Adamax
from mlkit.optimizers.adam import Nadam as Nadam
from mlkit.optimizers.ftrl import Ftrl as Ftrl
from mlkit.optimizers.lamb import Lamb as Lamb
from mlkit.optimizers.lion import Lion as Lion
from mlkit.optimizers.loss_scale import LossScaleOptimizer as LossScaleOptimizer
from mlkit.optimizers.multi import MultiOptimizer as MultiOptimizer
from mlkit.optimizers.multi import OptimizerMap as OptimizerMap
from mlkit.optimizers.muon import Muon as Muon
from mlkit.optimizers.optimizer import Optimizer as Optimizer
from mlkit.optimizers.rmsprop import RMSprop as RMSprop
from mlkit.optimizers.schedule_free import ScheduleFreeAdamW as ScheduleFreeAdamW
from mlkit.optimizers.sgd import SGD as SGD
from typing import Any

def deserialize(config: Any, custom_objects: dict[str, Any] | None=None) -> Any: ...
def get(identifier: Any) -> Any: ...
def serialize(optimizer: Any) -> Any: ...
