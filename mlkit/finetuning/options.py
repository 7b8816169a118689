"""Which options of a fine-tuning are possible: said before anything is computed."""

import os
from typing import Any

import numpy as np

from mlkit.finetuning.labelled import Head


def check_options(options: dict[str, Any]) -> None:
    """Raise ValueError unless the plain options of `finetune` are of a kind and size that training can use."""
    head_epochs, epochs = options["head_epochs"], options["epochs"]
    for name in ("head_epochs", "epochs", "seed"):
        _whole(name, options[name], 0)
    if options["batch_size"] is not None:
        _whole("batch_size", options["batch_size"], 1)
    if head_epochs + epochs < 1:
        raise ValueError(
            f"finetune: there must be epochs to train for, but got {head_epochs} for the head and {epochs} for all."
        )
    for name in ("learning_rate", "fine_learning_rate"):
        if options[name] is not None:
            _number(name, options[name], "positive", lambda v: v > 0)
    _number("decay", options["decay"], "at least 1", lambda v: v >= 1)
    _number("mixup", options["mixup"], "0 or more", lambda v: v >= 0)
    _number("label_smoothing", options["label_smoothing"], "at least 0 and below 1", lambda v: 0 <= v < 1)
    _number("dropout", options["dropout"], "at least 0 and below 1", lambda v: 0 <= v < 1)
    for name, choices in {"resize": ("stretch", "crop", "pad"), "split": ("stratified", "random")}.items():
        if options[name] not in choices:
            raise ValueError(f"finetune: `{name}` must be one of {', '.join(choices)}, but is {options[name]!r}.")
    if options["save_to"] is not None:
        check_model_path(options["save_to"])
    if options["output"] is None and (options["resume"] or options["overwrite"]):
        raise ValueError("finetune: `resume` and `overwrite` are about the folder `output`. Pass it, too.")
    if options["resume"] and options["overwrite"]:
        raise ValueError("finetune: `resume` goes on with the run in the folder, `overwrite` replaces it. Pass one of them.")


def monitor_for(head: Head, wanted: str | None) -> str:
    """The value by which the best epoch is chosen: the one wanted, if it is there, or that of the task."""
    there = (f"val_{head.metric}", "val_loss", head.metric, "loss")
    if wanted is not None and wanted not in there:
        raise ValueError(f"finetune: `monitor` must be one of {', '.join(there)}, but is {wanted!r}.")
    return wanted or head.monitor


def check_model_path(path: Any) -> None:
    """Raise ValueError unless a `.keras` file can be written there."""
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    if not path.endswith(".keras"):
        raise ValueError(f"finetune: `save_to` must end in .keras, but is {path!r}.")
    if not os.path.isdir(folder):
        raise ValueError(f"finetune: `save_to` is {path!r}, but there is no folder {folder}.")
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise ValueError(f"finetune: `save_to` is {path!r}, which cannot be written.")


def _whole(name, value, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"finetune: `{name}` must be a whole number, {least} or more, but is {value!r}.")


def _number(name, value, words, holds):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not holds(value) or not np.isfinite(value):
        raise ValueError(f"finetune: `{name}` must be a number, {words}, but is {value!r}.")
