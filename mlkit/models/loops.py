"""The loops over batches and epochs, and what they do around each step, as functions of a model."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlkit import callbacks as library  # each is imported when a loop needs it: single steps need none
from mlkit import config, data
from mlkit.callbacks import standing
from mlkit.core import tree
from mlkit.core.communicator import replicas
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.data.batch import pack_x_y_sample_weight, standardize_batch, with_class_weight
from mlkit.models import run_state
from mlkit.models.epochs import class_weights
from mlkit.models.gathered import Gathered
from mlkit.models.run_state import Run

if TYPE_CHECKING:
    from mlkit.callbacks.callback_list import CallbackList


def run_epochs(
    model: Any,
    batches: data.EpochIterator,
    epochs: int,
    callbacks: "CallbackList",
    validation: data.EpochIterator | None,
    validation_freq: int | Sequence[int],
    watched: Callable[[Iterator[Any]], Iterator[Any]] | None,
) -> None:
    """Train until the last epoch, with validation; what `fit` does once its arguments are understood.

    watched: what the batches of the first epoch go through.
    """
    run = model._training.run = Run(callbacks, batches)
    logs: dict[str, Any] = {}
    try:
        callbacks.on_train_begin()  # BackupAndRestore may set a later epoch to begin with
        resumed = run_state.begin(model, run)
        require_equal_loops(batches, epochs=epochs, initial_epoch=model._initial_epoch, validates=validation is not None)
        for epoch in range(model._initial_epoch, 0 if model.stop_training else epochs):
            run.epoch = epoch
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            steps = batches.epoch(epoch)
            for change in filter(None, (resumed, watched)):
                steps = change(steps)
            logs = run_epoch(model, "train", steps, callbacks, run.first, run.logs)
            resumed, watched, run.first, run.logs = None, None, 0, None
            if validation is not None and _validates(epoch, validation_freq):
                val = model.evaluate(
                    validation, verbose=0, callbacks=callbacks, return_dict=True, steps=validation.steps_per_epoch
                )
                logs.update({f"val_{k}": v for k, v in val.items()})
            callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
    finally:  # also where training is interrupted
        model._training.run = None
        if hasattr(model.optimizer, "finalize_variable_values"):
            model.optimizer.finalize_variable_values(model.trainable_weights)
    callbacks.on_train_end(logs)


def run_epoch(
    model: Any, step: str, batches: Iterable[Any], callbacks: "CallbackList", first: int = 0, logs: dict[str, Any] | None = None
) -> dict[str, float]:
    """Run a step over the batches of an epoch with callbacks; the last logs as numbers.

    first, logs: the number of the first batch, and the logs before it, where an epoch goes on.
    """
    out = logs or {}
    begin, end = getattr(callbacks, f"on_{step}_batch_begin"), getattr(callbacks, f"on_{step}_batch_end")
    refuse_nonfinite = not any(getattr(c, "handles_nonfinite", False) for c in callbacks.callbacks)
    run, ranks = model._training.run, replicas()
    try:
        for group in _grouped(_of_all_ranks(batches), model.steps_per_execution, first):
            if run is not None and step == "train":
                run.group = group.batches
            if ranks is not None:
                ranks.last_step.note(f"in {step} batch {group.first} of epoch {0 if run is None else run.epoch}")
            begin(group.first)
            for batch in group.batches:
                out = _run_step(model, step, batch, refuse_nonfinite)
            end(group.last, functools.partial(_numbers, out))  # read, which may mean to wait for them, only if somebody looks
            if model.stop_training if step == "train" else model.stop_evaluating:
                break
    finally:
        batches.close()
    return _numbers(out)


def run_predict(model: Any, batches: data.EpochIterator, callbacks: "CallbackList") -> Any:
    """The predictions for all batches as NumPy arrays."""
    callbacks.on_predict_begin()
    require_equal_loops(batches)
    outputs = Gathered(batches.num_batches)
    epoch = batches.epoch(0)
    try:
        for group in _grouped(_of_all_ranks(epoch), model.steps_per_execution):
            callbacks.on_predict_batch_begin(group.first)
            for bx, _, _ in group.batches:
                out = _predicted(model, (bx, None, None))
                outputs.add(out)
            callbacks.on_predict_batch_end(group.last, {"outputs": out})
            if model.stop_predicting:
                break
    finally:
        epoch.close()  # data made in a thread ends with the loop, however that ends
    callbacks.on_predict_end()
    found = outputs.result()
    if found is None:
        raise ValueError("predict: the data has no batches.")
    return found


def on_batch(model: Any, step: str, batch: tuple[Any, ...], class_weight: Mapping[Any, float] | None, return_dict: bool) -> Any:
    """Run a step on one batch, with the metrics reset before."""
    batch = model._prepared_batch(standardize_batch(batch))
    if class_weight is not None:
        batch = with_class_weight(batch, class_weights(model, class_weight))
    model._reset_before_batch()
    logs = _numbers(_run_step(model, step, batch))
    return logs if return_dict else as_list(model, logs)


def predict_on_batch(model: Any, x: Any) -> Any:
    """Predictions for one batch as NumPy arrays."""
    return tree.map_structure(np.array, _predicted(model, model._prepared_batch(standardize_batch((x,)))))


def _predicted(model: Any, batch: tuple[Any, ...]) -> Any:
    """The predictions for a batch as NumPy arrays, those that other processes have made too."""
    model._training.prepare(model, batch, "predict")
    own = tree.map_structure(host, model._training.program(model, "predict")(packed(batch)))
    group = replicas()
    return own if group is None else group.gathered(own)


def _run_step(model: Any, step: str, batch: tuple[Any, ...], refuse_nonfinite: bool = True) -> dict[str, Any]:
    if step == "train" and refuse_nonfinite:
        _check_finite(batch[0], "The inputs")
        _check_finite(batch[1], "The targets")
    model._training.prepare(model, batch, step)
    return model._training.program(model, step)(packed(batch))


def as_list(model: Any, logs: dict[str, Any]) -> Any:
    """A single number, or the values in the order of `metrics_names`; those under other names, as of metrics of several outputs,
    come last, in the order of these names, as in Keras."""
    known = dict.fromkeys(name for name in model._training.log_names(model) if name in logs)
    values = [logs[name] for name in (*known, *sorted(set(logs) - set(known)))]
    return values[0] if len(values) == 1 else values


def callback_list(
    model: Any, callbacks: Any, verbose: bool | int | str, epochs: int, steps: int | None, add_history: bool = False
) -> "CallbackList":
    """The callbacks of a loop as one, with a progress bar unless `verbose` is 0."""
    if isinstance(callbacks, library.CallbackList):
        return callbacks
    group = replicas()
    verbose = 0 if group is not None and group.rank else _verbosity(verbose)
    return library.CallbackList(
        callbacks, add_history, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps, model=model
    )


def add_standing(model: Any, callbacks: "CallbackList") -> None:
    """Add what tools want every `fit` to have."""
    for one in standing.CALLBACKS:
        one.set_model(model)
        callbacks.append(one)


def _of_all_ranks(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches, as long as all processes that train together have some."""
    group = replicas()
    return batches if group is None else group.together(batches)


def require_equal_loops(batches: data.EpochIterator, **arguments: Any) -> None:
    """Raise RuntimeError, on all processes that train together, unless they are about to run a loop with the same arguments over data
    of the same size: else some would wait for others that have ended, or add up parts of different batches."""
    group = replicas()
    if group is not None:
        group.check_loop({f"`{name}`": value for name, value in arguments.items()}, batches.sizes())


class _Group:
    """Batches that run between two callbacks, and the numbers these get; a group that is not full counts as one, as in
    Keras."""

    def __init__(self, first: int, batches: list[Any], size: int):
        self.first, self.batches, self.last = first, batches, first + size - 1


def _grouped(batches: Iterable[Any], size: int, first: int = 0) -> Iterator[Any]:
    group = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield _Group(first, group, size)
            first, group = first + size, []
    if group:
        yield _Group(first, group, size)


def packed(batch):
    """What a step gets for (x, y, sample_weight): without what is None at the end, and inputs alone as they are, as in Keras.
    Where a distribution is in force, it lies as that says."""
    batch = batch if batch[2] is not None else pack_x_y_sample_weight(*batch)
    return batch if state.distribution is None else state.distribution.place_batch(batch)


def _numbers(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs as Python floats (arrays stay arrays)."""
    if not isinstance(logs, dict):
        logs = {} if logs is None else {"loss": logs}
    return {k: _number(v) for k, v in logs.items()}


def _number(value: Any) -> Any:
    value = host(value)
    return float(value.item()) if isinstance(value, np.ndarray) and value.size == 1 else value


def host(x: Tensor) -> np.ndarray:
    return np.asarray(x.numpy()) if type(x) is Tensor else x


def _validates(epoch: int, freq: int | Sequence[int]) -> bool:
    return (epoch + 1) % freq == 0 if isinstance(freq, int) else (epoch + 1) in freq


def _verbosity(verbose: bool | int | str) -> int:
    if verbose == "auto":
        return 1 if config.is_interactive_logging_enabled() else 2
    return int(verbose)


def max_epochs(epochs: int) -> int:
    limit = config.max_epochs()
    return min(epochs, limit) if limit is not None else epochs


def _check_finite(x: Any, what: str) -> None:
    """Raise ValueError if a float array holds NaN or infinity. A sum (which may overflow) finds them in one pass; only then
    they are looked for."""
    for a in tree.flatten(x):
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.size and not _sum_is_finite(a):
            bad = np.argwhere(~np.isfinite(a))
            if len(bad):
                raise ValueError(
                    f"{what} contain {len(bad)} NaN or infinite value(s), the first at index {tuple(map(int, bad[0]))} of the "
                    "batch. Training on them would ruin the weights, which are unchanged. Clean the data (for example "
                    "np.nan_to_num)."
                )


def _sum_is_finite(a: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return np.isfinite(a.sum(dtype=None if a.dtype.itemsize >= 4 else np.float32))
