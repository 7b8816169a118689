"""Files of less precision: what may be asked for, how far their answers may be from the model's, and what that costs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core.spec import Spec
from mlkit.export import golden

ALLOWED = {None: 1e-4, "float16": 2e-2, "int8": 0.25}  # of the largest number


def checked(dtype: str | None, quantize: str | None, calibration_data: Any) -> str | None:
    """What weights are stored as: None, "float16" or "int8".

    Raises:
        ValueError: Of an option, or of options that do not go together.
    """
    if dtype not in (None, "float32", "float16"):
        raise ValueError(f"export: `dtype` is that of the weights, 'float32' or 'float16', but is {dtype!r}.")
    if quantize not in (None, "int8"):
        raise ValueError(f"export: `quantize` must be 'int8' or None, but is {quantize!r}.")
    if quantize and dtype == "float16":
        raise ValueError("export: quantize='int8' and dtype='float16' cannot both be: weights are either.")
    if calibration_data is not None and not quantize:
        raise ValueError("export: `calibration_data` is for quantize='int8'.")
    return quantize or (dtype if dtype == "float16" else None)


def settled(
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
    model: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
    inputs: list[np.ndarray],
    runtime: str,
    kind: str | None,
    calibration: list[list[np.ndarray]] | None = None,
) -> tuple[float, list[np.ndarray]]:
    """(the difference of what a file of less precision answers, as a multiple of what is allowed; what it answers to `inputs`).

    Args:
        run: What the file answers.
        model: What the model does.
        inputs: The golden sample.
        runtime: In words.
        kind: What weights are stored as.
        calibration: Batches that ranges were fixed for: the first is compared then, for others may lie outside.

    Raises:
        RuntimeError: It is more.
    """
    judged = calibration[0] if calibration else inputs
    return golden.require(run(judged), model(judged), runtime, tolerance=ALLOWED[kind]), run(inputs)


def samples(data: Any, specs: Sequence[Spec], batch_size: int | None, limit: int = 512) -> Iterator[list[np.ndarray]]:
    """Batches of calibration data, an array for each input.

    data: an array, a list of one for each input, or an iterable of batches of either. limit: of samples.

    Raises:
        ValueError: It does not fit the inputs.
    """
    batch, count = batch_size or 32, 0
    for part in [data] if isinstance(data, np.ndarray) or _is_list_of_arrays(data) else data:
        arrays = [np.asarray(a) for a in (part if isinstance(part, (list, tuple)) else [part])]
        if len(arrays) != len(specs) or any(a.ndim != len(s.shape) for a, s in zip(arrays, specs)):
            shapes = [a.shape for a in arrays]
            raise ValueError(f"export: the model takes {[s.shape for s in specs]}, but the data given have shapes {shapes}.")
        arrays = [a.astype(s.dtype, copy=False) for a, s in zip(arrays, specs)]
        whole = len(arrays[0]) // batch * batch if batch_size else len(arrays[0])  # a fixed batch is full
        for start in range(0, whole, batch):
            if count >= limit:
                return
            found = [a[start : start + batch] for a in arrays]
            yield found
            count += len(found[0])
    if not count:
        raise ValueError("export: the data given hold no sample.")


def _is_list_of_arrays(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and bool(data) and all(isinstance(a, np.ndarray) for a in data)


def accuracy_lost(
    model: Callable[[Sequence[np.ndarray]], np.ndarray],
    file: Callable[[Sequence[np.ndarray]], np.ndarray],
    data: tuple[Any, Any],
    specs: Sequence[Spec],
    batch_size: int | None,
) -> tuple[float, float]:
    """The shares of right answers of the model and of its file.

    Args:
        model: Function from arrays, one for each input, to scores (batch, classes), or (batch, 1) for two classes.
        file: Likewise.
        data: Inputs as of `samples`, and labels: (n,) whole numbers, or (n, classes) of which the largest says the class.
        specs: Of the inputs.
        batch_size: Of the file, None where it is free.

    Raises:
        ValueError: The data or the scores are no such thing.
    """
    x, y = data
    labels = np.asarray(y)
    labels = labels.argmax(-1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(-1)
    right, done = np.zeros(2), 0
    for batch in samples(x, specs, None, limit=len(labels)):
        n = len(batch[0])
        size = batch_size or n
        n -= n % size  # a fixed batch is full
        parts = [file([a[i : i + size] for a in batch]) for i in range(0, n, size)]
        if not parts:
            continue
        for i, scores in enumerate((model([a[:n] for a in batch]), np.concatenate(parts))):
            right[i] += np.sum(_classes(scores) == labels[done : done + n])
        done += n
    if not done:
        raise ValueError(f"export: the data given hold no batch of {batch_size}.")
    return float(right[0] / done), float(right[1] / done)


def _classes(scores: np.ndarray) -> np.ndarray:
    if scores.ndim != 2:
        raise ValueError(f"export: accuracy needs scores (batch, classes), but the model gives shape {scores.shape}.")
    return scores.argmax(-1) if scores.shape[1] > 1 else (scores[:, 0] > 0.5).astype("int64")
