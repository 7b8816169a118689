"""The checks as `fit` runs them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from mlkit.core import tree
from mlkit.core.messages import explained, page_of
from mlkit.data.adapters import ArrayAdapter
from mlkit.data.arrays import take
from mlkit.models.checks import inputs, parts, progress, settings, targets  # noqa: F401 (each adds its checks)
from mlkit.models.checks.case import CHECKS, Case

HOW = "check=False in fit leaves these checks out."
_EXPLAINED = {  # words of a finding -> the heading of docs/errors.md about it
    "contains NaN or infinite values": "x-contains-nan-or-infinite-values-in",
    "expects probabilities, but the last layer": "the-loss-expects-probabilities-but-the-last-layer-s-activation-is-linear",
    "makes probabilities already": "has-from-logits-true-but-the-last-layer-s-softmax-makes-probabilities-already",
    "no weight of the model is trainable": "no-weight-of-the-model-is-trainable",
}


def of_arrays(
    model: Any, adapter: Any, validation: Any, is_split: bool, class_weight: Any, nonfinite: bool = False
) -> list[str]:
    """Check the arrays of two adapters (of the data and of the validation data): raise ValueError for what makes training
    senseless, warn of the rest, once a model, and return it."""
    judged = validation.data[:2] if isinstance(validation, ArrayAdapter) else None
    arrays = model._prepared_batch(adapter.data)
    return _check(model, arrays, judged, is_split, class_weight, adapter.batch_size, nonfinite)


def before_fit(
    model: Any, adapter: Any, validation: Any, is_split: bool, class_weight: Any, callbacks: Any
) -> Callable[[Iterator], Iterator]:
    """Check arrays now, and the first batch of other data when it comes. Returns what the batches of the first epoch go
    through."""
    nonfinite = any(getattr(c, "handles_nonfinite", False) for c in callbacks.callbacks)
    if isinstance(adapter, ArrayAdapter) and not model._has_host_part:
        of_arrays(model, adapter, validation and validation.adapter, is_split, class_weight, nonfinite)
        return functools.partial(watched, model, None)
    look_at = functools.partial(
        _check, model, judged=None, is_split=False, class_weight=class_weight, batch_size=None, nonfinite=nonfinite
    )
    return functools.partial(watched, model, look_at)


def _check(model, arrays, judged, is_split, class_weight, batch_size, nonfinite):
    if model._is_overridden("train_step"):
        return []
    if len({leaf.shape[0] for leaf in tree.flatten(arrays) if leaf is not None}) > 1:  # there are no rows to judge
        model._training.prepare(model, arrays, exact=True)
        return []
    first = tuple(None if part is None else tree.map_structure(_first, part) for part in arrays)
    specs = model._training.prepare(model, first)  # the model is built, as the first step would
    case = Case(model, specs, *arrays, judged, is_split, class_weight, batch_size, nonfinite)
    found = [(text, fatal) for check, fatal in CHECKS for text in check(case)]
    if fatal := [text for text, is_fatal in found if is_fatal]:
        error = ValueError(" ".join(text[:1].upper() + text[1:] for text in fatal))
        raise explained(error, *anchors[:1]) if (anchors := _anchors(" ".join(fatal))) else error
    for text, _ in found:
        _warn(model, text)
    return [text for text, _ in found]


def _first(array):
    return None if array is None else take(array, slice(0, 1))


def _warn(model, text):
    if text not in model._training.said:
        model._training.said.add(text)
        pages = "".join(f" What it means: {page_of(anchor)}" for anchor in _anchors(text))
        warnings.warn(f"Model {model.name!r}: {text} ({HOW}){pages}", stacklevel=6)


def _anchors(text):
    return [anchor for words, anchor in _EXPLAINED.items() if words in text]


def watched(model: Any, look_at_first: Callable[[Any], Any] | None, batches: Iterator) -> Iterator:
    """The batches of the first epoch; the first one is looked at, and after some steps layers that have not moved are named.

    look_at_first: called with the first batch before it is used.
    """
    watch, after = None, progress.STEPS * model.steps_per_execution
    try:
        for k, batch in enumerate(batches):
            if k == 0:
                if look_at_first is not None:
                    look_at_first(batch)
                watch = progress.Watch(model) if progress.applies(model) else None
            if k == after and watch is not None:
                _say(model, watch)
                watch = None
            yield batch
        if watch is not None and k + 1 >= progress.STEPS:
            _say(model, watch)
    finally:
        batches.close()


def _say(model, watch):
    if text := progress.said_of(watch):
        _warn(model, text)
