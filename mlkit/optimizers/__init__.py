"""Optimizers: how weights follow their gradients. Learning rate schedules are in `mlkit.optimizers.schedules`."""

import inspect

from mlkit.core.lookup import Lookup
from mlkit.optimizers import schedules
from mlkit.optimizers.adafactor import Adafactor
from mlkit.optimizers.adagrad import Adadelta, Adagrad
from mlkit.optimizers.adam import Adam, Adamax, AdamW, Nadam
from mlkit.optimizers.ftrl import Ftrl
from mlkit.optimizers.lamb import Lamb
from mlkit.optimizers.lion import Lion
from mlkit.optimizers.loss_scale import LossScaleOptimizer
from mlkit.optimizers.multi import MultiOptimizer, OptimizerMap
from mlkit.optimizers.muon import Muon
from mlkit.optimizers.optimizer import Optimizer
from mlkit.optimizers.rmsprop import RMSprop
from mlkit.optimizers.schedule_free import ScheduleFreeAdamW
from mlkit.optimizers.sgd import SGD

_CLASSES = [v for v in list(globals().values()) if inspect.isclass(v) and issubclass(v, (Optimizer, OptimizerMap))]
_lookup = Lookup("optimizer", _CLASSES)

__all__ = [*(cls.__name__ for cls in _CLASSES), "deserialize", "get", "schedules", "serialize"]


def get(identifier):
    """An optimizer from a name ("adam"), a class, a config, or itself; None gives None.

    >>> round(get("sgd").get_config()["learning_rate"], 6)
    0.01
    """
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    else:
        found = _lookup.find(identifier) if isinstance(identifier, str) else identifier
    found = found() if inspect.isclass(found) and issubclass(found, Optimizer) else found
    if found is not None and not isinstance(found, Optimizer) or (found is None and identifier is not None):
        raise ValueError(_lookup.unknown(identifier))
    return found


def serialize(optimizer):
    """The optimizer, without its state, as a dict that `deserialize` reads."""
    from mlkit import saving

    return saving.serialize_keras_object(optimizer)


def deserialize(config, custom_objects=None):
    """The optimizer that `serialize` wrote. custom_objects: name -> class, for classes that are not built in."""
    return _lookup.deserialize(config, custom_objects)
