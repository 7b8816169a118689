"""Optimizers: how weights follow their gradients. Learning rate schedules are in `mlkit.optimizers.schedules`."""

import inspect
from typing import Any

from mlkit.core.lazy_import import offer
from mlkit.objects.lookup import Lookup
from mlkit.optimizers.optimizer import Optimizer

_CLASSES = {
    ".adafactor": "Adafactor",
    ".adagrad": "Adadelta Adagrad",
    ".adam": "Adam Adamax AdamW Nadam",
    ".ftrl": "Ftrl",
    ".lamb": "Lamb",
    ".lion": "Lion",
    ".loss_scale": "LossScaleOptimizer",
    ".multi": "MultiOptimizer OptimizerMap",
    ".muon": "Muon",
    ".optimizer": "Optimizer",
    ".rmsprop": "RMSprop",
    ".schedule_free": "ScheduleFreeAdamW",
    ".sgd": "SGD",
}
_lookup = Lookup("optimizer", __name__, " ".join(_CLASSES.values()).split())

_offered, __getattr__, __dir__ = offer(__name__, {**_CLASSES, ".": "legacy schedules"})
__all__ = [*_offered, "deserialize", "get", "serialize"]


def get(identifier: Any) -> Any:
    """An optimizer from a name ("adam"), a class, a config, or itself; None gives None.

    >>> round(get("sgd").get_config()["learning_rate"], 6)
    0.01
    """
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    else:
        found = _lookup.find(identifier) if isinstance(identifier, str) else identifier
    found = found() if inspect.isclass(found) and issubclass(found, Optimizer) else found
    if (found is not None and not isinstance(found, Optimizer)) or (found is None and identifier is not None):
        raise ValueError(_lookup.unknown(identifier))
    return found


def serialize(optimizer: Any) -> Any:
    """The optimizer, without its state, as a dict that `deserialize` reads."""
    return _lookup.serialize(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer that `serialize` wrote. custom_objects: name -> class, for classes that are not built in."""
    return _lookup.deserialize(config, custom_objects)
