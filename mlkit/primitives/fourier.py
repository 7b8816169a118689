"""Discrete Fourier transforms along the last axis."""

from collections.abc import Callable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, same_size, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.axes import on_last_axes
from mlkit.primitives.counts import passes_of_halving
from mlkit.primitives.movement import concat, flip, full, slice_along

_REAL = {"complex64": "float32", "complex128": "float64"}
_COMPLEX = {real: c for c, real in _REAL.items()}


def _require_length(name: str, n: Size) -> None:
    if n == 0:
        raise ValueError(f"{name}: there is no transform of 0 numbers.")


def _complex_spec(name: str) -> Callable[..., Any]:
    def spec(x: Spec) -> Spec:
        if x.dtype not in dtypes.COMPLEX or not x.shape:
            raise TypeError(f"{name}: expected a complex tensor of one dimension or more, but got {x}.")
        _require_length(name, x.shape[-1])
        return x

    return spec


# The matrix of the transform is symmetric, so it is its own transpose. ifft divides by the length.
_transform = Traits(flops=passes_of_halving(5), batch=on_last_axes)
fft = Op("fft", _complex_spec("fft"), lambda g, y, x: (fft(g),), keep="", traits=_transform)
ifft = Op("ifft", _complex_spec("ifft"), lambda g, y, x: (ifft(g),), keep="", traits=_transform)


def _rfft_spec(x: Spec) -> Spec:
    if x.dtype not in _COMPLEX or not x.shape:
        raise TypeError(f"rfft: expected a float32 or float64 tensor of one dimension or more, but got {x}.")
    _require_length("rfft", x.shape[-1])
    return Spec((*x.shape[:-1], x.shape[-1] // 2 + 1), _COMPLEX[x.dtype])


def _rfft(x: Tensor) -> Tensor:
    zeros = full(shape=x.shape, value=0, dtype=x.dtype)
    return slice_along(fft(el.complex_(x, zeros)), x.ndim - 1, 0, x.shape[-1] // 2 + 1)


# real (..., n) -> complex (..., n // 2 + 1): the other half mirrors it
rfft = Op("rfft", _rfft_spec, fallback=_rfft)


def _irfft_spec(x: Spec, length: int) -> Spec:
    _complex_spec("irfft")(x)
    _require_length("irfft", length)
    if not same_size(x.shape[-1], length // 2 + 1):
        raise ValueError(
            f"irfft: {length} numbers have a spectrum of {length // 2 + 1}, but the shape of x is {show(x.shape)}."
        )
    return Spec((*x.shape[:-1], length), _REAL[x.dtype])


def _irfft(x: Tensor, length: int) -> Tensor:
    """The full spectrum, whose upper half is the conjugate of the lower one backwards."""
    last, half = x.ndim - 1, length // 2 + 1
    ends = el.real(x)  # the first, and for even lengths the middle element count as real
    ends = el.complex_(ends, full(shape=ends.shape, value=0, dtype=ends.dtype))
    inner_stop = half - (length + 1) % 2
    inner = slice_along(x, last, 1, inner_stop)
    parts = [
        slice_along(ends, last, 0, 1),
        inner,
        slice_along(ends, last, inner_stop, half),
        flip(el.conj(inner), axes=(last,)),
    ]
    return el.real(ifft(concat(*parts, axis=last)))


# complex (..., length // 2 + 1) -> real (..., length)
irfft = Op("irfft", _irfft_spec, fallback=_irfft)
