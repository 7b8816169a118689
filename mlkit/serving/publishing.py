"""A further version of a model in a folder that servers watch."""

import os
import secrets
import shutil
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, Spec
from mlkit.export import golden
from mlkit.serving.keras_runner import KerasRunner
from mlkit.serving.sources import GOLDEN_FILE


def publish(model: Any, folder: str | os.PathLike[str]) -> int:
    """Write a model as the next version in a folder, together with a golden sample: inputs, and what the model answers here.

    The version appears when it is whole. A server that watches the folder loads it, compares its answers to the sample with those written,
    and only then lets requests go there. Models that begin with strings, or of which no sizes are known, get no sample.

    Args:
        model: A model made from Input.
        folder: Of the model's versions; made if it is not there.

    Returns:
        The number of the version.

    Raises:
        ValueError: The model does not tell its inputs.

    >>> import tempfile
    >>> import mlkit as keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> folder = tempfile.mkdtemp()
    >>> publish(model, folder), publish(model, folder), sorted(os.listdir(os.path.join(folder, "2")))
    (1, 2, ['golden.json', 'model.keras'])
    """
    runner = KerasRunner(model)
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    part = os.path.join(folder, f".{secrets.token_hex(4)}.part")
    os.mkdir(part)
    try:
        model.save(os.path.join(part, "model.keras"))
        text = _golden(runner)
        if text is not None:
            with open(os.path.join(part, GOLDEN_FILE), "w", encoding="utf-8") as file:
                file.write(text)
        return _arrived(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _golden(runner: KerasRunner) -> str | None:
    if any(s.dtype == dtypes.STRING or None in s.shape for s in runner.inputs):
        return None
    specs = [Spec((Dim(), *s.shape), s.dtype) for s in runner.inputs]
    return golden.packed(specs, [np.array(a) for a in runner.run(golden.sample(specs))])


def _arrived(part: str, folder: str) -> int:
    """Give a folder the next number; another process may be about the same."""
    while True:
        number = max([int(name) for name in os.listdir(folder) if name.isdigit()], default=0) + 1
        try:
            os.rename(part, os.path.join(folder, str(number)))
        except OSError:
            if not os.path.exists(os.path.join(folder, str(number))):
                raise
        else:
            return number
