"""What is found out before the first trial: numbers that make no sense, and whether the logs of `fit` will have the objective."""

from typing import Any

from mlkit.core import tree
from mlkit.data.batch import standardize_batch
from mlkit.tuner.hypermodel import HyperModel


def check_counts(who: str, trials: Any, executions: Any, retries: Any, failures: Any) -> None:
    """Refuse counts that are none.

    Raises:
        ValueError: It names the argument.
    """
    for name, value, least, may_be_none in (
        ("max_trials", trials, 1, True), ("executions_per_trial", executions, 1, False),
        ("max_retries_per_trial", retries, 0, False), ("max_consecutive_failed_trials", failures, 1, True),
    ):  # fmt: skip
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not is_number and not (value is None and may_be_none):
            raise ValueError(f"{who}: `{name}` must be a whole number from {least} on, but got {value!r}.")


def check_fit_arguments(tuner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse a search whose objective cannot be among the logs. A `fit` or `train_step` of one's own may log what it likes.

    Raises:
        ValueError: It names what will be there.
    """
    objective, hypermodel = tuner.objective, tuner.hypermodel
    own_fit = type(hypermodel).fit is not HyperModel.fit
    if own_fit:
        return
    if objective is None:
        raise ValueError("`objective` is None: then HyperModel.fit must be overridden and return the number to make small.")
    validates = kwargs.get("validation_data") is not None or bool(kwargs.get("validation_split"))
    if objective.name.startswith("val_") and not validates:
        raise ValueError(f"The objective {objective.name!r} needs `validation_data` or `validation_split` in search().")
    names = _log_names(tuner, args, kwargs)
    if names is not None and objective.name.removeprefix("val_") not in names:
        raise ValueError(
            f"The objective {objective.name!r} will not be among the logs, which are {', '.join(names)}"
            f"{', and these with val_ before them' if validates else ''}."
        )


def _log_names(tuner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str] | None:
    """The names in the logs of the first model; None where they cannot be known without training."""
    x, y, *_ = (*args, *(() if args else (kwargs.get("x"),)), None, None)[:2]
    y = kwargs.get("y", y)
    model = tuner._built(tuner._given.copy())[0]
    is_plain = all(hasattr(a, "shape") and len(a.shape) for a in tree.flatten((x, y)))
    if not is_plain or not model.compiled or model._is_overridden("train_step") or model._is_overridden("compute_metrics"):
        return None
    batch = standardize_batch((*(tree.map_structure(lambda a: a[:1], part) for part in (x, y)), None))
    try:
        model._training.prepare(model, model._prepared_batch(batch))
    except (ValueError, TypeError):
        return None  # the trial says what is wrong with it
    return model._training.log_names(model)
