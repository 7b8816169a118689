"""Weights of one float dtype for variables of another."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.models.saving.hdf5_reader import StoredTensor, is_finite
from mlkit.objects.errors import ModelFileError


class ConvertedTensor:
    """A tensor of floats in a file that is read in another float dtype. Raises ModelFileError where a number is too large for it."""

    __slots__ = ("_stored", "dtype", "name", "path", "shape")

    def __init__(self, stored: StoredTensor, dtype: str):
        self._stored, self.dtype = stored, dtype
        self.path, self.name, self.shape = stored.path, stored.name, stored.shape

    @property
    def stored_dtype(self) -> str:
        return self._stored.dtype

    def read(self, allow_nonfinite: bool = False) -> np.ndarray:
        with np.errstate(over="ignore"):
            values = self._stored.read(allow_nonfinite).astype(dtypes.as_numpy(self.dtype))
        if not allow_nonfinite and not is_finite(values):
            raise ModelFileError(self.path, self.name, f"it has numbers too large for {self.dtype}, the dtype of its variable.")
        return values


def in_dtypes_of(variables: Sequence[Any], stored: Sequence[Any]) -> list[Any]:
    """The tensors as those of their variables' dtypes, where both are floats."""
    return [
        ConvertedTensor(t, v.dtype) if t.dtype != v.dtype and dtypes.is_float(t.dtype) and dtypes.is_float(v.dtype) else t
        for v, t in zip(variables, stored)
    ]


def warn_of_conversion(tensors: Iterable[Any], path: str) -> None:
    """Say once that weights are read in other dtypes than those they have in the file."""
    kinds = sorted({(t.stored_dtype, t.dtype) for t in tensors if type(t) is ConvertedTensor})
    if kinds:
        pairs = ", ".join(f"from {old} to {new}" for old, new in kinds)
        warnings.warn(f"{path}: weights are converted {pairs}, the dtype of the model's variables.", stacklevel=5)
