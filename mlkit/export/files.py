"""What formats share: sizes of files, and the answers to compare with."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.tensor import Tensor


def total_bytes(path: str) -> int:
    """Of a file, or of all in a folder."""
    return (
        sum(os.path.getsize(os.path.join(path, n)) for n in os.listdir(path)) if os.path.isdir(path) else os.path.getsize(path)
    )


def answers(fn: Callable[..., Any], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a function of tensors gives for arrays."""
    out = fn(*(Tensor(np.array(a)) for a in inputs))
    return [np.asarray(t.numpy()) for t in (out if isinstance(out, (list, tuple)) else [out])]
