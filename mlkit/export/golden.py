"""Golden samples: inputs that follow from a number, and what a model answers to them, kept in the file so that it can be checked where it
is used."""

import base64
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, Spec

BATCH = 3  # samples, where the number is free
OTHERS = 8  # of other sizes that are free
_TOLERANCE = {"float16": 2e-2, "bfloat16": 5e-2}


def sample(specs: Sequence[Spec], seed: int = 0) -> list[np.ndarray]:
    """Arrays of these specs: normal numbers, small whole ones, true and false."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return [_drawn(rng, [_known(n, i) for i, n in enumerate(s.shape)], s.dtype) for s in specs]


def _known(n: Any, axis: int) -> int:
    return n if type(n) is not Dim else BATCH if axis == 0 else OTHERS


def _drawn(rng: Any, shape: Sequence[int], dtype: str) -> np.ndarray:
    if dtypes.is_float(dtype):
        return rng.standard_normal(shape).astype(dtypes.as_numpy(dtype))
    return rng.integers(0, 2, shape).astype(dtypes.as_numpy(dtype))


def difference(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """How far answers are from those wanted, as a multiple of what is allowed: 1e-4 of the largest, more for halves."""
    worst = 0.0
    for a, b in zip(found, wanted):
        if a.shape != b.shape:
            return float("inf")
        if not b.size:
            continue
        a, b, dtype = np.asarray(a), np.asarray(b), dtypes.name_of(b.dtype)
        if not dtypes.is_float(dtype):
            worst = max(worst, 0.0 if np.array_equal(a, b) else float("inf"))
            continue
        a, b = a.astype("float64"), b.astype("float64")
        allowed = _TOLERANCE.get(dtype, 1e-4) * max(1e-3, float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b))))
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return float("inf")
        worst = max(worst, float(np.max(np.abs(a - b), initial=0.0, where=np.isfinite(b))) / allowed)
    return worst


def require(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], runtime: str, where: Callable[[], str] = str) -> float:
    """The `difference` of what a runtime answers.

    Raises:
        RuntimeError: It is more than what is allowed; `where()` says in words where it begins.
    """
    far = difference(found, wanted)
    if not far <= 1:
        raise RuntimeError(
            f"export: {runtime} answers something else than the model ({far:.3g} times what is allowed){where()}. No file was written."
        )
    return far


def packed(specs: Sequence[Spec], outputs: Sequence[np.ndarray], seed: int = 0) -> str:
    """What a file keeps, as text."""
    file = io.BytesIO()
    np.savez_compressed(file, *outputs)
    inputs = [{"shape": [_known(n, i) for i, n in enumerate(s.shape)], "dtype": s.dtype} for s in specs]
    return json.dumps({"seed": seed, "inputs": inputs, "outputs": base64.b64encode(file.getvalue()).decode()})


def unpacked(text: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(inputs, outputs wanted) of what `packed` made."""
    kept = json.loads(text)
    specs = [Spec(tuple(i["shape"]), i["dtype"]) for i in kept["inputs"]]
    with np.load(io.BytesIO(base64.b64decode(kept["outputs"])), allow_pickle=False) as archive:
        return sample(specs, kept["seed"]), [archive[name] for name in archive.files]
