"""`mlkit.debug`: a debugger on a batch."""

from typing import Any

from mlkit.core.typing import Data
from mlkit.data.batch import standardize_batch
from mlkit.debugger.breakpoint import NONFINITE
from mlkit.debugger.debugger import Debugger
from mlkit.debugger.step_graph import StepGraph
from mlkit.models import loops
from mlkit.models.training import step_method

STEPS = ("train", "test", "predict")


def debug(
    model: Any, x: Data | None = None, y: Data | None = None, sample_weight: Data | None = None, step: str = "train"
) -> Debugger:
    """A step of a model on one batch, to be run call by call.

    Args:
        model: The model, compiled unless `step` is "predict". It may run compiled or eagerly; its step must be one that can be traced.
        x, y, sample_weight: A batch. Without `x`, the batch at which `TerminateOnNaN` ended training, from the weights before it, and
            the debugger stands where the first number that is not finite comes from.
        step: "train", "test" or "predict".

    Returns:
        A `Debugger`, before the first call. Weights change when the last call has run, and not before.

    Raises:
        ValueError: There is no batch.
        TypeError: The step looks at values while it runs, and so has no graph.

    >>> import mlkit, numpy as np
    >>> parts = [mlkit.Input((2,)), mlkit.layers.Lambda(mlkit.ops.log, name="logs"), mlkit.layers.Dense(1)]
    >>> model = mlkit.Sequential(parts, name="net")
    >>> model.compile("sgd", "mse")
    >>> debugger = mlkit.debug(model, np.array([[1.0, 2.0], [3.0, 0.0]]), np.zeros((2, 1)))
    >>> _ = debugger.break_on(when="nonfinite")
    >>> _ = debugger.go()
    >>> debugger.layer, debugger.op
    ('net/logs', 'log')
    """
    if step not in STEPS:
        raise ValueError(f"debug: `step` must be one of {STEPS}, but got {step!r}.")
    if step != "predict":
        model._assert_compiled("debug")
    if x is None:
        return _where_training_ended(model)
    batch = model._prepared_batch(standardize_batch((x, y, sample_weight)))
    if step != "predict":
        model.reset_metrics()
    return debugger_of(model, batch, step)


def debugger_of(model: Any, batch: tuple[Any, Any, Any], step: str = "train") -> Debugger:
    """The debugger of a step on a batch as `fit` hands it on."""
    model._training.prepare(model, batch, step)
    data = loops.packed(batch)
    return Debugger(model, StepGraph(model, step_method(model, step), data), data)


def _where_training_ended(model: Any) -> Debugger:
    batches = model._training.nonfinite
    if not batches:
        raise ValueError(
            "debug: pass a batch, `x` and `y`. (Without one: that at which TerminateOnNaN ended training; there is none.)"
        )
    for batch in batches[:-1]:
        debugger_of(model, batch).finish()
    debugger = debugger_of(model, batches[-1])
    debugger.break_on(when=NONFINITE)
    return debugger.go()
