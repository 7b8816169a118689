"""What users give `fit`, `evaluate` and `predict` as iterators over the batches of epochs, as functions of a model."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from mlkit import config, data


def for_training(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    shuffle: bool | str,
    steps: int | None,
    class_weight: Mapping[Any, float] | None,
) -> data.EpochIterator:
    """The batches of `fit`."""
    adapter = data.get_adapter(x, y, sample_weight, batch_size, shuffle, steps, class_weights(model, class_weight))
    return _epochs(model, adapter, _max_steps(steps))


def for_validation(model: Any, given: Any, batch_size: int | None, steps: int | None) -> data.EpochIterator | None:
    """The batches that `fit` validates on: a dataset's, or those of a tuple ``(x, y, sample_weight)``; None where none is given."""
    if given is None:
        return None
    refuse_pairs(model, "fit(validation_data=...)", given, None)
    parts = data.unpack_x_y_sample_weight(given) if isinstance(given, (tuple, list)) else (given, None, None)
    return _epochs(model, data.get_adapter(*parts, batch_size, steps=steps), steps)


def for_test(model: Any, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None) -> data.EpochIterator:
    """The batches of `evaluate`; those made for validation as they are."""
    refuse_pairs(model, "evaluate", x, y)
    if isinstance(x, data.EpochIterator):
        return x
    return _epochs(model, data.get_adapter(x, y, sample_weight, batch_size, steps=steps), _max_steps(steps))


def for_predict(model: Any, x: Any, batch_size: int | None, steps: int | None) -> data.EpochIterator:
    """The batches of `predict`."""
    return _epochs(model, data.get_adapter(x, batch_size=batch_size, steps=steps), _max_steps(steps))


def _epochs(model, adapter, steps):
    return data.EpochIterator(adapter, steps, model.steps_per_execution, _in_front(model))


def class_weights(model: Any, class_weight: Mapping[Any, float] | None) -> Any:
    """The function labels -> weights; the loss knows whether labels are class numbers or one-hot rows."""
    if class_weight is None:
        return None
    compiled = model._training.loss
    numbers = compiled is not None and compiled.takes_class_numbers
    return functools.partial(data.class_weight_to_sample_weight, class_weight=class_weight, class_numbers=numbers)


def _in_front(model: Any) -> Callable[[Any], Any] | None:
    """What is made of each batch before a step gets it, or None."""
    return model._prepared_batch if model._has_host_part else None


def refuse_pairs(model: Any, method: str, x: Any, y: Any) -> None:
    """A list of tuples (x, y) is no structure of inputs, though it looks like one."""
    pairs = y is None and isinstance(x, list) and x and all(isinstance(p, tuple) and len(p) in (2, 3) for p in x)
    if pairs and model.loss is not None:
        raise ValueError(
            f"{method}: got a list of {len(x)} tuples, which looks like pairs (x, y). A list stands for the inputs of a model "
            "that has several. Pass arrays x and y for pairs of single samples; for pairs of batches an iterator, such as "
            "iter(pairs)."
        )


def _max_steps(steps: int | None) -> int | None:
    limit = config.max_steps_per_epoch()
    if limit is None:
        return steps
    return min(steps, limit) if steps is not None else limit
