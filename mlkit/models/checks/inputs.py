"""Inputs: whether they are numbers a network can begin with, and those its first layers expect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlkit.models.checks.case import Case, Input, check
from mlkit.models.checks.graph import followers

SCALING = frozenset(
    "Rescaling Normalization BatchNormalization LayerNormalization GroupNormalization UnitNormalization Discretization Embedding "
    "Hashing IntegerLookup StringLookup TextVectorization CategoryEncoding HashedCrossing RMSNormalization Equalization "
    "AutoContrast".split()
)
WEIGHTED = frozenset("Dense EinsumDense Conv1D Conv2D Conv3D SeparableConv2D DepthwiseConv2D LSTM GRU SimpleRNN".split())
UNSCALED = 1e4  # largest magnitude of a feature that nothing scales


@check(fatal=True)
def finite(case: Case) -> Iterator[str]:
    if case.allows_nonfinite:
        return
    for one in case.inputs:
        if one.array.dtype.kind == "f" and one.array.size and not np.isfinite(one.array.sum(dtype="float64")):
            bad = ~np.isfinite(one.array.reshape(len(one.array), -1)).all(axis=1)
            if bad.any():
                yield (
                    f"{one.name} contains NaN or infinite values in {bad.sum()} of {len(bad)} rows looked at, the first in row "
                    f"{int(bad.argmax())}. Fill or leave out what is missing (np.nan_to_num, or x[~np.isnan(x).any(axis=1)])."
                )


@check()
def pixels(case: Case) -> Iterator[str]:
    for one in case.inputs:
        if not _is_image(one) or not one.array.size:
            continue
        low, high = float(one.array.min()), float(one.array.max())
        factor = _rescaling(one)
        if factor is not None:
            if factor < 0.02 and low >= 0 and high <= 1.0:
                yield (
                    f"{one.name} lies in [0, 1] already, and the model divides it by {1 / factor:.0f} once more. Leave out "
                    "the Rescaling layer, or pass the pixels as they are."
                )
        elif low >= 0 and 50 < high <= 255 and _is_fed_raw(case.model, one):
            yield (
                f"{one.name} holds pixels of 0 to {high:.0f}, and nothing in the model scales them. Divide by 255, or begin the "
                "model with layers.Rescaling(1 / 255)."
            )


@check()
def channels(case: Case) -> Iterator[str]:
    for one in case.inputs:
        if one.array.ndim != 4 or not any(_format(layer) == "channels_last" for layer in one.operations):
            continue
        shape = one.array.shape
        if shape[1] in (1, 3) and shape[2] > 4 and shape[3] > 4:
            yield (
                f"{one.name} has shape {shape}, which looks like channels first, but the model takes channels last. Use "
                "np.moveaxis(x, 1, -1)."
            )


@check()
def features(case: Case) -> Iterator[str]:
    for one in case.inputs:
        if one.array.ndim > 3 or one.array.dtype.kind not in "iuf" or not one.array.size or not _is_fed_raw(case.model, one):
            continue
        largest = float(np.abs(one.array.astype("float32")).max())
        if largest > UNSCALED:
            yield (
                f"{one.name} holds numbers up to {largest:.3g}, and nothing in the model scales them. Subtract the mean and divide "
                "by the standard deviation of each column, or begin with layers.Normalization() and its adapt(x)."
            )


@check()
def indices(case: Case) -> Iterator[str]:
    for one in case.inputs:
        kinds = [type(o).__name__ for o in one.operations]
        if kinds and set(kinds) == {"Embedding"} and case.model._graph is not None and one.array.dtype.kind == "f":
            if one.array.size and float(np.mean(one.array != np.round(one.array))) > 0:
                yield f"{one.name} goes into an Embedding, which takes whole numbers, but holds fractions. Which array was meant?"


@check()
def equal_samples(case: Case) -> Iterator[str]:
    arrays = [one.array for one in case.inputs]
    if arrays and len(arrays[0]) >= 16 and all(a.size and (a[1:] == a[:1]).all() for a in arrays):
        yield "all samples of x are equal: there is nothing to tell them apart by. Look at how x was made."


@check()
def unused(case: Case) -> Iterator[str]:
    model = case.model
    if model._graph is None or model._has_host_part:
        return
    known = set(model.input_names)
    if isinstance(model.input, dict):
        known |= set(model.input)
    if isinstance(case.x, dict) and (extra := sorted(set(case.x) - known)):
        yield f"x has the entries {extra}, which no input of the model takes (they are {sorted(known)}). Leave them out."
    for one, name in zip(case.inputs, model.input_names):
        if not one.operations and len(model.inputs) > 1:
            yield f"the input {name!r} leads to no output of the model. Use it, or leave it out."


def _is_image(one: Input) -> bool:
    shape = one.array.shape
    return one.array.dtype.kind in "uif" and (
        (len(shape) == 4 and shape[-1] in (1, 3, 4) and min(shape[1:3]) >= 8) or (len(shape) == 3 and min(shape[1:]) >= 8)
    )


def _is_fed_raw(model, one: Input) -> bool:
    """Whether layers with weights take it and nothing scales it, nor what they give, which makes its scale irrelevant. Where the
    order is unknown, no layer of the model may scale."""
    kinds = {type(o).__name__ for o in one.operations}
    next_kinds = [type(n).__name__ for o in one.operations if type(o).__name__ in WEIGHTED for n in followers(model, o)]
    return bool(kinds & WEIGHTED) and not kinds & SCALING and not (next_kinds and set(next_kinds) <= SCALING)


def _rescaling(one: Input) -> float | None:
    """The factor of the Rescaling that takes it, if one does."""
    found = [o.scale for o in one.operations if type(o).__name__ == "Rescaling" and np.ndim(o.scale) == 0]
    return abs(float(found[0])) if found else None


def _format(layer) -> str | None:
    return (
        getattr(layer, "data_format", None)
        if type(layer).__name__ in ("Conv2D", "SeparableConv2D", "DepthwiseConv2D")
        else None
    )
