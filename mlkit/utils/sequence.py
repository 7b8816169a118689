"""Sequences of different lengths brought to one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.typing import DType, TensorLike


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: DType = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: TensorLike = 0.0,
) -> np.ndarray:
    """Bring sequences of different lengths to one length.

    Args:
        sequences: list of sequences; the elements may be arrays of one shape.
        maxlen: the length; that of the longest sequence unless given.
        dtype: element type of the result; `object` for strings of different lengths.
        padding: "pre" or "post": the side at which `value` is added.
        truncating: "pre" or "post": the side at which elements are removed.
        value: what is filled in.

    Returns:
        Array (number of sequences, maxlen, *element shape).

    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2).tolist()
    [[0, 1], [3, 4]]
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: `{name}` must be 'pre' or 'post', but is {side!r}.")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: `sequences` must be a list of sequences, but is of type {type(sequences).__name__}.")
    for i, s in enumerate(sequences):
        if not hasattr(s, "__len__"):
            raise ValueError(f"pad_sequences: element {i} is {s!r}. Expected a list of sequences, each a list or array.")
    texts = dtype is object or dtype == "object" or np.dtype(dtype).kind in "SU"
    if isinstance(value, str) and not texts:
        raise ValueError(f"pad_sequences: value={value!r} does not fit dtype {dtype}. Use dtype=object for strings.")
    maxlen = max((len(s) for s in sequences), default=0) if maxlen is None else maxlen
    shape = next((np.shape(s[0]) for s in sequences if len(s)), ())
    out = np.full((len(sequences), maxlen, *shape), value, dtype)
    for i, s in enumerate(sequences):
        kept = (s[len(s) - maxlen :] if truncating == "pre" else s[:maxlen]) if len(s) > maxlen else s
        kept = np.asarray(kept, dtype) if len(kept) else np.empty((0, *shape), dtype)
        if kept.shape[1:] != shape:
            raise ValueError(f"pad_sequences: the elements of sequence {i} have shape {kept.shape[1:]}, those before {shape}.")
        out[i, (slice(maxlen - len(kept), maxlen) if padding == "pre" else slice(len(kept)))] = kept
    return out
