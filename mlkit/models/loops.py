"""The loops: fit, evaluate, predict, and their single-batch forms."""

import contextlib
import functools

import numpy as np

from mlkit import config, data
from mlkit.callbacks.callback_list import CallbackList
from mlkit.core import tree
from mlkit.core.tensor import Tensor
from mlkit.data.batch import standardize_batch, with_class_weight


class LoopsMixin:
    """The part of `Trainer` that feeds batches to the steps."""

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Train for a number of epochs. Returns the `History`, whose `history` holds logs by epoch.

        x, y, sample_weight: arrays (or structures of them), or x alone: a generator, PyDataset, DataLoader or any iterable of
        batches. batch_size: samples a batch, 32 by default, for arrays. verbose: 0 silent, 1 progress bar, 2 a line an epoch,
        "auto". validation_split: share of the arrays' end kept for validation. validation_data: (x, y) or (x, y,
        sample_weight), or a dataset. class_weight: dict class -> weight. initial_epoch, steps_per_epoch, validation_steps: as
        they say. validation_freq: epochs between validations, or the list of epochs (from 1) to validate after.

        Ctrl-C stops training and raises KeyboardInterrupt, as any error does: `on_train_end` is not called, the epochs that were
        finished are in `model.history`, and the model stays usable.
        """
        self._assert_compiled("fit")
        self._refuse_pairs("fit", x, y)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = data.train_validation_split((x, y, sample_weight), validation_split)
        validation = None
        if validation_data is not None:
            self._refuse_pairs("fit(validation_data=...)", validation_data, None)
            vx, vy, vw = (
                data.unpack_x_y_sample_weight(validation_data)
                if isinstance(validation_data, (tuple, list))
                else (validation_data, None, None)
            )
            adapter = data.get_adapter(vx, vy, vw, validation_batch_size or batch_size, steps=validation_steps)
            validation = data.EpochIterator(adapter, validation_steps, self.steps_per_execution)
        adapter = data.get_adapter(x, y, sample_weight, batch_size, shuffle, steps_per_epoch, self._weights_of(class_weight))
        batches = data.EpochIterator(adapter, _max_steps(steps_per_epoch), self.steps_per_execution)
        epochs = _max_epochs(epochs)
        callbacks = self._callback_list(callbacks, verbose, epochs, batches.num_batches, add_history=True)
        self.stop_training = False
        self._program("train")
        self._initial_epoch = initial_epoch
        callbacks.on_train_begin()  # BackupAndRestore may set a later epoch to begin with
        logs = {}
        try:
            for epoch in range(self._initial_epoch, epochs):
                self.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                logs = self._run_epoch("train", batches.epoch(epoch), callbacks)
                if validation is not None and _validates(epoch, validation_freq):
                    val = self.evaluate(validation, verbose=0, callbacks=callbacks, return_dict=True, steps=validation_steps)
                    logs.update({f"val_{k}": v for k, v in val.items()})
                callbacks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:  # also where training is interrupted
            if hasattr(self.optimizer, "finalize_variable_values"):
                self.optimizer.finalize_variable_values(self.trainable_weights)
        callbacks.on_train_end(logs)
        return self.history

    def _refuse_pairs(self, method, x, y):
        """A list of tuples (x, y) is no structure of inputs, though it looks like one."""
        pairs = y is None and isinstance(x, list) and x and all(isinstance(p, tuple) and len(p) in (2, 3) for p in x)
        if pairs and self.loss is not None:
            raise ValueError(
                f"{method}: got a list of {len(x)} tuples, which looks like pairs (x, y). A list stands for the inputs of a model "
                "that has several. Pass arrays x and y for pairs of single samples; for pairs of batches an iterator, such as "
                "iter(pairs)."
            )

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """Loss and metrics on data, in test mode: a number, a list in the order of `metrics_names`, or (return_dict) a dict."""
        if kwargs:
            raise ValueError(f"evaluate: unknown arguments {sorted(kwargs)}.")
        self._assert_compiled("evaluate")
        self._refuse_pairs("evaluate", x, y)
        batches = x
        if not isinstance(x, data.EpochIterator):
            adapter = data.get_adapter(x, y, sample_weight, batch_size, steps=steps)
            batches = data.EpochIterator(adapter, _max_steps(steps), self.steps_per_execution)
        callbacks = self._callback_list(callbacks, verbose, 1, batches.num_batches)
        self.stop_evaluating = False
        self.reset_metrics()
        callbacks.on_test_begin()
        logs = self._run_epoch("test", batches.epoch(0), callbacks)
        callbacks.on_test_end(logs)
        if return_dict:
            return logs
        return self._as_list(logs)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Predictions for data, batch by batch in test mode: a NumPy array (or structure of them)."""
        adapter = data.get_adapter(x, batch_size=batch_size, steps=steps)
        batches = data.EpochIterator(adapter, _max_steps(steps), self.steps_per_execution)
        callbacks = self._callback_list(callbacks, verbose, 1, batches.num_batches)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        step = self._program("predict")
        outputs = []
        with contextlib.closing(batches.epoch(0)) as epoch:  # data made in a thread ends with the loop, however that ends
            for group in _grouped(epoch, self.steps_per_execution):
                callbacks.on_predict_batch_begin(group.first)
                for bx, _, _ in group.batches:
                    self._prepare((bx, None, None), training=False)
                    out = tree.map_structure(_host, step((bx,)))
                    outputs.append(out)
                callbacks.on_predict_batch_end(group.last, {"outputs": out})
                if self.stop_predicting:
                    break
        callbacks.on_predict_end()
        if not outputs:
            raise ValueError("predict: the data has no batches.")
        return tree.map_structure(lambda *parts: np.concatenate(parts) if len(parts) > 1 else np.array(parts[0]), *outputs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One update on one batch; metrics are reset before. Returns the loss, or [loss, metrics...], or a dict."""
        self._assert_compiled("train_on_batch")
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics of one batch. Returns the loss, or [loss, metrics...], or a dict."""
        self._assert_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def predict_on_batch(self, x):
        """Predictions for one batch as NumPy arrays."""
        x, _, _ = standardize_batch((x,))
        self._prepare((x, None, None), training=False)
        return tree.map_structure(lambda t: np.array(_host(t)), self._program("predict")((x,)))

    def _on_batch(self, step, x, y, sample_weight, class_weight, return_dict):
        batch = standardize_batch((x, y, sample_weight))
        if class_weight is not None:
            batch = with_class_weight(batch, self._weights_of(class_weight))
        self._reset_before_batch()
        logs = _numbers(self._step(step, batch))
        return logs if return_dict else self._as_list(logs)

    def _as_list(self, logs):
        """A single number, or the values in the order of `metrics_names`; those under other names, as of metrics of several outputs,
        come last, in the order of these names, as in Keras."""
        known = dict.fromkeys(m.name for m in self._known_metrics() if m.name in logs)
        values = [logs[name] for name in (*known, *sorted(set(logs) - set(known)))]
        return values[0] if len(values) == 1 else values

    def _weights_of(self, class_weight):
        """The function labels -> weights; the loss knows whether labels are class numbers or one-hot rows."""
        if class_weight is None:
            return None
        compiled = self._training.get("loss")
        numbers = compiled is not None and compiled.takes_class_numbers
        return functools.partial(data.class_weight_to_sample_weight, class_weight=class_weight, class_numbers=numbers)

    def _run_epoch(self, step, batches, callbacks):
        """Run a step over the batches of an epoch with callbacks; the last logs as numbers."""
        out = {}
        begin, end = getattr(callbacks, f"on_{step}_batch_begin"), getattr(callbacks, f"on_{step}_batch_end")
        refuse_nonfinite = not any(getattr(c, "handles_nonfinite", False) for c in callbacks.callbacks)
        try:
            for group in _grouped(batches, self.steps_per_execution):
                begin(group.first)
                for batch in group.batches:
                    out = self._step(step, batch, refuse_nonfinite)
                end(
                    group.last, functools.partial(_numbers, out)
                )  # read, which may mean to wait for them, only if somebody looks
                if self.stop_training if step == "train" else self.stop_evaluating:
                    break
        finally:
            batches.close()
        return _numbers(out)

    def _step(self, step, batch, refuse_nonfinite=True):
        if step == "train" and refuse_nonfinite:
            _check_finite(batch[0], "The inputs")
            _check_finite(batch[1], "The targets")
        self._prepare(batch, training=step == "train")
        return self._program(step)(trimmed(batch))

    def _callback_list(self, callbacks, verbose, epochs, steps, add_history=False):
        if isinstance(callbacks, CallbackList):
            return callbacks
        verbose = _verbosity(verbose)
        return CallbackList(
            callbacks, add_history, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps, model=self
        )


class _Group:
    """Batches that run between two callbacks, and the numbers these get; a group that is not full counts as one, as in
    Keras."""

    def __init__(self, first, batches, size):
        self.first, self.batches, self.last = first, batches, first + size - 1


def _grouped(batches, size):
    first, group = 0, []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield _Group(first, group, size)
            first, group = first + size, []
    if group:
        yield _Group(first, group, size)


def trimmed(batch):
    """(x, y, sample_weight) without what is None at the end, as custom train steps expect it."""
    x, y, w = batch
    return (x, y, w) if w is not None else (x, y) if y is not None else (x,)


def _numbers(logs):
    """Logs as Python floats (arrays stay arrays)."""
    if not isinstance(logs, dict):
        logs = {"loss": logs}
    return {k: _number(v) for k, v in logs.items()}


def _number(value):
    value = _host(value)
    return float(value) if isinstance(value, np.ndarray) and value.size == 1 else value


def _host(x):
    return np.asarray(x.numpy()) if type(x) is Tensor else x


def _validates(epoch, freq):
    return (epoch + 1) % freq == 0 if isinstance(freq, int) else (epoch + 1) in freq


def _verbosity(verbose):
    if verbose == "auto":
        return 1 if config.is_interactive_logging_enabled() else 2
    return int(verbose)


def _max_epochs(epochs):
    limit = config.max_epochs()
    return min(epochs, limit) if limit is not None else epochs


def _max_steps(steps):
    limit = config.max_steps_per_epoch()
    if limit is None:
        return steps
    return min(steps, limit) if steps is not None else limit


def _check_finite(x, what):
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


def _sum_is_finite(a):
    with np.errstate(all="ignore"):
        return np.isfinite(a.sum(dtype=None if a.dtype.itemsize >= 4 else np.float32))
