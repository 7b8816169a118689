"""What formats share: files that appear when they are whole, and the answers to compare with."""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core.tensor import Tensor


@contextlib.contextmanager
def arriving(path: str) -> Iterator[str]:
    """A name to write to; what is there takes the place of `path` at the end, and goes after an error."""
    part = os.path.join(os.path.dirname(os.path.abspath(path)), f".{os.path.basename(path)}.{secrets.token_hex(4)}.tmp")
    try:
        yield part
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)


def answers(fn: Callable[..., Any], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a function of tensors gives for arrays."""
    out = fn(*(Tensor(np.array(a)) for a in inputs))
    return [np.asarray(t.numpy()) for t in (out if isinstance(out, (list, tuple)) else [out])]
