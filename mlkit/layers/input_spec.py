"""InputSpec: what a layer accepts, checked before its mathematics, with messages in the user's terms."""

from typing import Any

from mlkit.core import dtypes, tree
from mlkit.core.messages import explained
from mlkit.core.spec import Dim, show
from mlkit.core.typing import Axes, Structure
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.objects.config_object import Configurable


class InputSpec(Configurable):
    """Rank, shape, dtype and single axes a layer demands of an input.

    Args:
        shape: full shape with None for free axes.
        ndim, max_ndim, min_ndim: rank.
        axes: dict axis -> size.
        allow_last_axis_squeeze: a last axis of size 1 may be missing or extra.
        name: key of the input in a dict of inputs.
        optional: the input may be None.
        dtype: name of the dtype that is demanded, or None.
    """

    def __init__(
        self,
        dtype: DTypeOrPolicy = None,
        shape=None,
        ndim=None,
        max_ndim=None,
        min_ndim=None,
        axes: Axes = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = dtypes.standardize_dtype(dtype) if dtype is not None else None
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional
        rank = self.ndim or self.max_ndim
        if rank and any(a >= rank for a in self.axes):
            raise ValueError(f"InputSpec: axes {list(self.axes)} are out of range for rank {rank}.")

    def __repr__(self) -> str:
        facts = {k: v for k, v in vars(self).items() if not k.startswith("_") and v not in (None, {}, False)}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in facts.items())})"


def check_inputs(spec: Any, inputs: Structure, name: str) -> None:
    """Raise ValueError unless the inputs (structure of tensors) fit the InputSpec or structure of them."""
    specs, given = tree.flatten(spec), tree.flatten(inputs)
    if isinstance(inputs, dict) and all(isinstance(s, InputSpec) and s.name for s in specs):
        missing = [s.name for s in specs if s.name not in inputs]
        if missing:
            raise ValueError(f"Layer {name!r} expects inputs named {[s.name for s in specs]}; missing: {missing}.")
        given = [inputs[s.name] for s in specs]
    if len(specs) != len(given):
        raise ValueError(f"Layer {name!r} expects {len(specs)} input(s), but it received {len(given)} tensors.")
    for i, (s, x) in enumerate(zip(specs, given)):
        if s is None or (x is None and s.optional):
            continue
        problem = _problem(s, x)
        if problem:
            which = f"input {s.name or i} of layer" if len(specs) > 1 else "the input of layer"
            shape = show(x.shape) if hasattr(x, "shape") else type(x).__name__
            raise explained(
                ValueError(f"{which[0].upper()}{which[1:]} {name!r} does not fit: {problem}. Found shape {shape}."),
                "the-input-of-layer-does-not-fit-expected-dimensions-found",
            )


_OR_CHANNELS = ", x[None], or that of the channels, x[..., None]"


def _problem(s, x):
    if x is None or not hasattr(x, "shape"):
        return f"expected a tensor, but got {x!r}"
    shape = x.shape
    if s.allow_last_axis_squeeze and s.shape is not None and len(shape) and s.shape:
        if shape[-1] == 1 and len(shape) == len(s.shape) + 1:
            shape = shape[:-1]
        elif s.shape[-1] == 1 and len(shape) == len(s.shape) - 1:
            shape = (*shape, 1)
    rank = len(shape)
    if s.ndim is not None and rank != s.ndim:
        hint = f" (is an axis missing: that of the batch{_OR_CHANNELS if s.ndim > 3 else ''}?)" if rank == s.ndim - 1 else ""
        return f"expected {s.ndim} dimensions, found {rank}{hint}"
    if s.max_ndim is not None and rank > s.max_ndim:
        return f"expected at most {s.max_ndim} dimensions, found {rank}"
    if s.min_ndim is not None and rank < s.min_ndim:
        return f"expected at least {s.min_ndim} dimensions, found {rank}"
    if s.dtype is not None and dtypes.standardize_dtype(x.dtype) != s.dtype:
        return f"expected dtype {s.dtype}, found {x.dtype}"
    for axis, size in s.axes.items():
        if size is not None and type(shape[axis]) is int and shape[axis] not in (size, None):
            return f"expected size {size} along axis {axis}, found {shape[axis]}"
    for axis, size in enumerate(s.shape or ()):
        if size is not None and shape[axis] is not None and type(shape[axis]) is not Dim and shape[axis] != size:
            return f"expected shape {s.shape}, but axis {axis} has size {shape[axis]}"
    return None
