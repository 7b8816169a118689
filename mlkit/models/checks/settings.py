"""What `compile` and `fit` were told: learning rates, weights, batch sizes, what is frozen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlkit.models.checks.case import Case, check, named

ADAPTIVE = frozenset("Adam AdamW Adamax Nadam RMSprop Lion Lamb Adafactor".split())  # steps are about as long as their rate


@check()
def frozen(case: Case) -> Iterator[str]:
    if case.model.built and not case.model.trainable_weights and case.model.weights:
        yield (
            "no weight of the model is trainable, so training changes nothing. Set layer.trainable = True where it is to learn, and "
            "compile again."
        )


@check()
def learning_rate(case: Case) -> Iterator[str]:
    optimizer = case.model.optimizer
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None or callable(getattr(optimizer, "_learning_rate", None)):  # a schedule says so itself
        return
    try:
        rate = float(optimizer.learning_rate)
    except (TypeError, AttributeError):
        return
    kind = type(optimizer).__name__
    if rate == 0:
        yield "the learning rate is 0, so training changes nothing."
    elif rate < 0:
        yield f"the learning rate is {rate:g}: the loss grows by it. Rates are positive."
    elif kind in ADAPTIVE and rate > 0.5:
        yield f"a learning rate of {rate:g} moves every weight by about as much at each step of {kind}. Usual are 1e-4 to 1e-2."
    elif kind == "SGD" and rate > 10:
        yield f"a learning rate of {rate:g} is far beyond what SGD bears. Usual are 1e-3 to 1."


@check()
def batches_of_one(case: Case) -> Iterator[str]:
    if case.batch_size == 1 and any(_is_trained_batch_norm(layer) for layer in case.model._flatten_layers()):
        yield (
            "BatchNormalization in training has batches of one sample, whose deviation from their mean is 0. Use larger batches, or "
            "LayerNormalization or GroupNormalization."
        )


def _is_trained_batch_norm(layer):
    return type(layer).__name__ == "BatchNormalization" and layer.trainable


@check()
def class_weights(case: Case) -> Iterator[str]:
    for o in case.outputs if isinstance(case.class_weight, dict) and len(case.outputs) == 1 else ():
        if o.labels is None or not len(o.labels):
            continue
        unknown = sorted(k for k in case.class_weight if not 0 <= k < max(2, o.units or 0))
        if unknown:
            yield f"class_weight names the classes {unknown}, which the model does not have: they are 0 to {max(2, o.units or 0) - 1}."


@check()
def sample_weights(case: Case) -> Iterator[str]:
    for name, a in named("sample_weight", case.sample_weight):
        if a.size and a.dtype.kind in "iuf" and not np.any(a):
            yield f"{name} is 0 for all samples, so nothing is learned."
        elif a.size and a.dtype.kind in "if" and (a < 0).any():
            yield f"{name} is negative for {int((a < 0).sum())} samples: the loss of these is made larger. Weights are positive."
