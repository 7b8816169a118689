"""Fourier transforms and short-time spectra under Keras's names. Complex values are pairs (real, imaginary) of float
tensors.
"""

import math

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Size, same_size, show, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.ops.math import extract_sequences, window_positions
from mlkit.ops.numpy.padding import pad
from mlkit.primitives import elementwise as el
from mlkit.primitives import fourier
from mlkit.primitives import movement as mov
from mlkit.primitives import shape as sh
from mlkit.primitives.convert import as_tensor, cast, to_float

__all__ = ["fft", "fft2", "ifft2", "irfft", "istft", "rfft", "stft"]


def _join(name: str, x: tuple[TensorLike, TensorLike]) -> Tensor:
    """The pair as one complex tensor."""
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{name}: expected a pair (real, imaginary) of tensors, but got {type(x).__name__}.")
    real, imag = map(as_tensor, x)
    if len(real.shape) != len(imag.shape) or not all(map(same_size, real.shape, imag.shape)):
        raise ValueError(
            f"{name}: real and imaginary part must have the same shape, but have {show(real.shape)} and {show(imag.shape)}."
        )
    if real.dtype not in dtypes.FLOATS or imag.dtype not in dtypes.FLOATS:
        raise ValueError(f"{name}: real and imaginary part must be floats, but are {real.dtype} and {imag.dtype}.")
    wide = dtypes.result_type(real.dtype, imag.dtype, "float32")
    return el.complex_(cast(real, wide), cast(imag, wide))


def _part(z: Tensor) -> tuple[Tensor, Tensor]:
    return el.real(z), el.imag(z)


def fft(x: tuple[TensorLike, TensorLike]) -> tuple[Tensor, ...]:
    """Discrete Fourier transform along the last axis of a pair (real, imaginary).

    >>> real, imaginary = fft(([1.0, 1.0], [0.0, 0.0]))
    >>> real.numpy(), imaginary.numpy()
    (array([2., 0.], dtype=float32), array([0., 0.], dtype=float32))
    """
    return _part(fourier.fft(_join("fft", x)))


def _two_axes(transform: Op, z: Tensor) -> Tensor:
    perm = (*range(z.ndim - 2), z.ndim - 1, z.ndim - 2)
    return sh.transpose(transform(sh.transpose(transform(z), perm=perm)), perm=perm)


def _images(name: str, x: tuple[TensorLike, TensorLike]) -> Tensor:
    z = _join(name, x)
    if z.ndim < 2:
        raise ValueError(f"{name}: expected tensors of two dimensions or more, but got shape {show(z.shape)}.")
    return z


def fft2(x: tuple[TensorLike, TensorLike]) -> tuple[Tensor, ...]:
    """Discrete Fourier transform along the last two axes of a pair (real, imaginary)."""
    return _part(_two_axes(fourier.fft, _images("fft2", x)))


def ifft2(x: tuple[TensorLike, TensorLike]) -> tuple[Tensor, ...]:
    """The inverse of `fft2`."""
    return _part(_two_axes(fourier.ifft, _images("ifft2", x)))


def _resized(x: Tensor, size: int) -> Tensor:
    """The last axis cut or filled with zeros to a size."""
    if size <= x.shape[-1]:
        return mov.slice_along(x, x.ndim - 1, 0, size)
    zeros = mov.full(shape=(*x.shape[:-1], size - x.shape[-1]), value=0, dtype=x.dtype)
    return mov.concat(x, zeros, axis=x.ndim - 1)


def rfft(x: TensorLike, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """Fourier transform of real numbers along the last axis: the first n // 2 + 1 elements as a pair (real, imaginary).

    Args:
        fft_length: n, to which the axis is cut or filled with zeros; by default its size.
    """
    x = to_float(x)
    x = cast(x, dtypes.result_type(x.dtype, "float32"))
    return _part(fourier.rfft(x if fft_length is None else _resized(x, whole("rfft", "`fft_length`", fft_length, least=1))))


def irfft(x: tuple[TensorLike, TensorLike], fft_length: int | None = None) -> Tensor:
    """The inverse of `rfft`: a pair (real, imaginary) of n // 2 + 1 elements -> n real numbers.

    Args:
        fft_length: n; by default twice (size of the last axis - 1).
    """
    z = _join("irfft", x)
    if fft_length is None:
        return fourier.irfft(z, length=2 * (z.shape[-1] - 1))
    fft_length = whole("irfft", "`fft_length`", fft_length, least=1)
    return fourier.irfft(_resized(z, fft_length // 2 + 1), length=fft_length)


# ---- short-time spectra ----------------------------------------------------------------------------------------------


def _check_frames(name: str, sequence_length: int, sequence_stride: int, fft_length: int) -> None:
    sizes = dict(sequence_length=sequence_length, sequence_stride=sequence_stride, fft_length=fft_length)
    for argument, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: `{argument}` must be a positive int, but got {value!r}.")
    if fft_length < sequence_length:
        raise ValueError(
            f"{name}: `fft_length` must be at least `sequence_length`, but got {fft_length} and {sequence_length}."
        )


def _window(name: str, window: TensorLike | str | None, sequence_length: int, fft_length: int, dtype: str) -> Tensor:
    """The window centred in a frame of fft_length samples."""
    if window is None:  # all of the frame counts
        return mov.full(shape=(fft_length,), value=1, dtype=dtype)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f'{name}: `window` must be "hann", "hamming", a tensor or None, but got {window!r}.')
        a = 0.5 if window == "hann" else 0.54
        w = a - (1 - a) * el.cos(mov.iota(size=sequence_length, dtype=dtype) * (2 * math.pi / sequence_length))
    else:
        w = cast(window, dtype)
        if w.ndim != 1 or not same_size(w.shape[0], sequence_length):
            raise ValueError(f"{name}: `window` must have shape ({sequence_length},), but has shape {show(w.shape)}.")
    before = (fft_length - sequence_length) // 2
    return mov.pad(w, value=0.0, low=(before,), high=(fft_length - sequence_length - before,), interior=(0,))


def stft(
    x: TensorLike,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: TensorLike | str | None = "hann",
    center: bool = True,
) -> tuple[Tensor, Tensor]:
    """Short-time Fourier transform: the spectra of windows of a signal.

    Args:
        x: float (..., samples).
        sequence_length: samples in a window, a window every sequence_stride samples.
        fft_length: samples of a frame, at least sequence_length.
        window: "hann", "hamming", a vector of sequence_length, or None.
        center: whether frame t is centred at sample t * sequence_stride, by reflecting the signal at its ends.
        sequence_stride: samples from one window to the next.

    Returns a pair (real, imaginary) of shape (..., frames, fft_length // 2 + 1).
    """
    x = as_tensor(x)
    if x.dtype not in ("float32", "float64"):
        raise TypeError(f"stft: expected a float32 or float64 signal, but got {x.dtype}.")
    _check_frames("stft", sequence_length, sequence_stride, fft_length)
    window = _window("stft", window, sequence_length, fft_length, x.dtype)
    if center:
        x = pad(x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2, fft_length // 2)], mode="reflect")
    return _part(fourier.rfft(extract_sequences(x, fft_length, sequence_stride) * window))


def istft(
    x: tuple[TensorLike, TensorLike],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: TensorLike | str | None = "hann",
    center: bool = True,
) -> Tensor:
    """The signal with these short-time spectra: the inverse of `stft`, by overlapping and adding.

    Args:
        x: pair (real, imaginary) of shape (..., frames, fft_length // 2 + 1).
        length: samples of the result.

    The other arguments as in `stft`. Griffin and Lim, IEEE Trans. ASSP 32 (1984), equation 6.
    """
    _check_frames("istft", sequence_length, sequence_stride, fft_length)
    z = _join("istft", x)
    if z.ndim < 2:
        raise ValueError(f"istft: expected shape (..., frames, bins), but got {show(z.shape)}.")
    *_lead, count, _ = z.shape
    frames = fourier.irfft(_resized(z, fft_length // 2 + 1), length=fft_length)
    window = _window("istft", window, sequence_length, fft_length, frames.dtype)
    total = fft_length + sequence_stride * (count - 1)
    weight = _overlap_add(sh.broadcast_to(window * window, shape=(count, fft_length)), total, sequence_stride)
    signal = _overlap_add(frames * window, total, sequence_stride) / el.where(weight > 1e-10, weight, 1.0)
    start = fft_length // 2 if center else 0
    stop = total - start if length is None else min(start + length, total)
    return mov.slice_along(signal, signal.ndim - 1, start, stop)


def _overlap_add(frames: Tensor, total: Size, stride: int) -> Tensor:
    """(..., frames, length) -> (..., total): each frame added where it belongs."""
    *lead, count, length = frames.shape
    n = len(lead)
    place = sh.reshape(window_positions(count, length, stride), shape=(count, length, 1))
    moved = sh.transpose(frames, perm=(n, n + 1, *range(n)))
    out = mov.scatter_add(mov.full(shape=(total, *lead), value=0, dtype=frames.dtype), place, moved)
    return sh.transpose(out, perm=(*range(1, n + 1), 0))
