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


def sample(specs: Sequence[Spec], seed: int = 0, batch: int | None = None) -> list[np.ndarray]:
    """Arrays of these specs: normal numbers, small whole ones, pixels, true and false. batch: samples, where the number is free."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return [_drawn(rng, _shape(s, batch), s.dtype) for s in specs]


def _shape(spec: Spec, batch: int | None) -> list[int]:
    return [n if type(n) is not Dim else (batch or BATCH) if axis == 0 else OTHERS for axis, n in enumerate(spec.shape)]


def _drawn(rng: Any, shape: Sequence[int], dtype: str) -> np.ndarray:
    if dtypes.is_float(dtype):
        return rng.standard_normal(shape).astype(dtypes.as_numpy(dtype))
    largest = 255 if dtype == "uint8" and len(shape) == 4 else 1  # pixels
    return rng.integers(0, largest + 1, shape).astype(dtypes.as_numpy(dtype))


def difference(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], tolerance: float = 1e-4) -> float:
    """How far answers are from those wanted, as a multiple of what is allowed: `tolerance` times the largest, more for halves."""
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
        allowed = max(tolerance, _TOLERANCE.get(dtype, 0)) * max(
            1e-3, float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
        )
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return float("inf")
        worst = max(worst, float(np.max(np.abs(a - b), initial=0.0, where=np.isfinite(b))) / allowed)
    return worst


def require(
    found: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    runtime: str,
    where: Callable[[], str] = str,
    tolerance: float = 1e-4,
) -> float:
    """The `difference` of what a runtime answers.

    Raises:
        RuntimeError: It is more than what is allowed; `where()` says in words where it begins.
    """
    far = difference(found, wanted, tolerance)
    if not far <= 1:
        raise RuntimeError(
            f"export: {runtime} answers something else than the model ({far:.3g} times what is allowed){where()}. No file was written."
        )
    return far


def packed(
    specs: Sequence[Spec],
    outputs: Sequence[np.ndarray],
    names: Sequence[Sequence[str]] = ((), ()),
    batch: int | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> str:
    """What a file keeps, as text. names: of its inputs, and of its outputs."""
    file = io.BytesIO()
    np.savez_compressed(file, *outputs)
    inputs = [{"shape": _shape(s, batch), "dtype": s.dtype} for s in specs]
    told = {"seed": seed, "inputs": inputs, "names": [list(n) for n in names], "tolerance": tolerance}
    return json.dumps({**told, "outputs": base64.b64encode(file.getvalue()).decode()})


def unpacked(text: str) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """(inputs, outputs wanted, tolerance) of what `packed` made."""
    kept = json.loads(text)
    specs = [Spec(tuple(i["shape"]), i["dtype"]) for i in kept["inputs"]]
    with np.load(io.BytesIO(base64.b64decode(kept["outputs"])), allow_pickle=False) as archive:
        return sample(specs, kept["seed"]), [archive[name] for name in archive.files], kept.get("tolerance", 1e-4)


def against(text: str, run: Callable[..., Sequence[np.ndarray]]) -> float:
    """The `difference` of what a file answers from what `packed` kept. run: function (inputs, names of inputs, names of outputs)."""
    inputs, wanted, tolerance = unpacked(text)
    return difference(run(inputs, *json.loads(text)["names"]), wanted, tolerance)
