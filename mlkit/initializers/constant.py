"""Initializers without randomness."""

import numpy as np

from mlkit import ops
from mlkit.core.dtypes import standardize_dtype
from mlkit.core.ownership import own_arrays
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, FloatOrSequence, Shape, TensorLike
from mlkit.initializers.initializer import Initializer


class Constant(Initializer):
    """Every element is `value`.

    Args:
        value: number, or an array that broadcasts to the shape.

    >>> Constant(3.0)((2,)).numpy()
    array([3., 3.], dtype=float32)
    """

    def __init__(self, value: TensorLike = 0.0):
        self.value = own_arrays(value)

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        return ops.broadcast_to(ops.cast(self.value, standardize_dtype(dtype)), shape)


class Zeros(Initializer):
    """Every element is 0."""

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        return ops.zeros(shape, dtype=standardize_dtype(dtype))


class Ones(Initializer):
    """Every element is 1."""

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        return ops.ones(shape, dtype=standardize_dtype(dtype))


class Identity(Initializer):
    """`gain` times the identity matrix; for matrices only, which need not be square.

    Args:
        gain: factor on the matrix.

    >>> Identity(gain=2)((2, 2)).numpy()
    array([[2., 0.],
           [0., 2.]], dtype=float32)
    """

    def __init__(self, gain: FloatOrSequence = 1.0):
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        if len(shape) != 2:
            raise ValueError(f"Identity initializes matrices, but the shape is {tuple(shape)}.")
        return self.gain * ops.eye(*shape, dtype=standardize_dtype(dtype))


class STFT(Initializer):
    """Fourier kernels for a Conv1D layer that computes a short-time Fourier transform.

    Args:
        side: "real" (cosines) or "imag" (sines).
        window: name of a window such as "hann", an array of frame length, or None.
        scaling: "density" (by the root of the window's energy), "spectrum" (by its sum), or None.
        periodic: whether a named window is the periodic one, else the symmetric one.

    The shape is (frame_length, input_channels, fft_bins) with fft_bins = fft_length // 2 + 1.
    """

    def __init__(
        self, side: str = "real", window: TensorLike | str | None = "hann", scaling: str = "density", periodic: bool = False
    ):
        if side not in ("real", "imag"):
            raise ValueError(f'STFT: `side` must be "real" or "imag", but got {side!r}.')
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f'STFT: `scaling` must be "density", "spectrum" or None, but got {scaling!r}.')
        if isinstance(window, str):
            named_window(window, 1, periodic)  # complains now about a name it does not know
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        frame_length, _, bins = shape
        frequency = np.arange(bins) / (2 * (bins - 1))
        angle = -2 * np.pi * np.arange(frame_length).reshape(-1, 1, 1) * frequency
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            kernel = kernel * self._scaled_window(frame_length)
        return ops.broadcast_to(ops.cast(kernel, standardize_dtype(dtype)), shape)

    def _scaled_window(self, frame_length: int) -> np.ndarray:
        """The window as (frame_length, 1, 1), divided by what `scaling` asks for."""
        named = isinstance(self.window, str)
        window = named_window(self.window, frame_length, self.periodic) if named else np.asarray(self.window, "float64")
        if window.shape != (frame_length,):
            raise ValueError(f"STFT: `window` must have shape ({frame_length},), the frame length, but it has {window.shape}.")
        if self.scaling == "density":
            window = window / np.sqrt(np.sum(window**2))
        elif self.scaling == "spectrum":
            window = window / np.sum(np.abs(window))
        return window.reshape(-1, 1, 1)


_COSINE_SUMS = {  # a[0] - a[1] cos(x) + a[2] cos(2x) - ...: Harris 1978 (https://doi.org/10.1109/PROC.1978.10837), Nuttall 1981
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def named_window(name: str, length: int, periodic: bool) -> np.ndarray:
    """A window function of signal processing as an array of shape (length,), float64.

    name: a sum of cosines ("hann", "hamming", "blackman", "nuttall", "blackmanharris", "flattop", "boxcar"), "bartlett",
    "cosine" or "tukey" (half of it tapered). periodic: the window is the start of one that is longer by 1, as spectra want it.

    >>> named_window("hann", 4, periodic=True).round(3)
    array([0. , 0.5, 1. , 0.5])
    """
    n = length + 1 if periodic else length
    position = np.arange(length) / max(n - 1, 1)  # 0 at the first sample, 1 at the last of the n
    if name in _COSINE_SUMS:
        window = sum((-1) ** k * a * np.cos(2 * np.pi * k * position) for k, a in enumerate(_COSINE_SUMS[name]))
    elif name == "bartlett":
        window = 1 - np.abs(2 * position - 1)
    elif name == "cosine":
        window = np.sin(np.pi * (np.arange(length) + 0.5) / n)
    elif name == "tukey":
        taper = np.minimum(1.0, 4 * np.minimum(position, 1 - position))
        window = 0.5 - 0.5 * np.cos(np.pi * taper)
    else:
        known = ", ".join([*_COSINE_SUMS, "bartlett", "cosine", "tukey"])
        raise ValueError(f"Unknown window {name!r}. Known by name: {known}. Pass any other as an array of its values.")
    return window if length > 1 else np.ones(length)
