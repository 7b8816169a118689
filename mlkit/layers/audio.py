"""Spectrograms of sound: STFTSpectrogram, whose Fourier transform is a convolution with weights, and MelSpectrogram."""

import math
import warnings
from typing import Any

import numpy as np

from mlkit import initializers, ops
from mlkit.config import epsilon
from mlkit.core import dtypes
from mlkit.core.typing import TensorLike
from mlkit.layers.argument_checks import layout, padding_name, positive, within
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer


class STFTSpectrogram(Layer):
    """Spectra of the frames of signals (batch, time, channels): (batch, frames, channels * frequencies).

    Args:
        mode: "log" magnitude, "magnitude", "psd" (power), "real", "imag", "angle" or "stft" (real and imaginary part).
        frame_length, frame_step: samples of a frame, and from one to the next (half a frame by default).
        fft_length: power of two, at least a frame.
        window: name, array or None.
        periodic: kind of the window.
        scaling: "density", "spectrum" or None.
        padding: "valid" or "same".
        expand_dims: give (batch, frames, frequencies, channels).

    The Fourier kernels are weights, and may be trained.
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: TensorLike | str | None = "hann",
        periodic: bool = False,
        scaling: str = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        positive(self, frame_length=frame_length)
        for name, value in (("frame_step", frame_step), ("fft_length", fft_length)):
            if value is not None:
                positive(self, **{name: value})
        if frame_step is not None and not 1 <= frame_step <= frame_length:
            raise ValueError(
                f"STFTSpectrogram: `frame_step` must be from 1 to `frame_length` {frame_length}, but got {frame_step}."
            )
        if fft_length is not None and fft_length < frame_length:
            raise ValueError(f"STFTSpectrogram: `fft_length` {fft_length} must not be less than `frame_length` {frame_length}.")
        if fft_length is not None and fft_length & (fft_length - 1):
            warnings.warn(f"STFTSpectrogram: `fft_length` should be a power of two, but is {fft_length}.", stacklevel=2)
        modes = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
        if mode not in modes:
            raise ValueError(f"STFTSpectrogram: `mode` must be one of {modes}, but got {mode!r}.")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f"STFTSpectrogram: `scaling` must be 'density', 'spectrum' or None, but got {scaling!r}.")
        super().__init__(**kwargs)
        self.mode, self.frame_length, self.frame_step, self.fft_length = mode, frame_length, frame_step, fft_length
        self.window, self.periodic, self.scaling = window, periodic, scaling
        self.padding, self.expand_dims, self.data_format = padding_name(padding), expand_dims, layout(data_format)
        self._step = frame_step or frame_length // 2
        self._frequencies = (fft_length or 2 ** math.ceil(math.log2(frame_length))) // 2 + 1
        self._initializers = {  # made here, so that a bad window is found at once
            part: initializers.STFT(part, window, scaling, periodic) for part in ("real", "imag")
        }
        if isinstance(window, str):
            self._initializers["real"]((8, 1, 5))
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        shape = (self.frame_length, 1, self._frequencies)
        for part, other in (("real", "imag"), ("imag", "real")):
            if self.mode != other:
                setattr(self, f"{part}_kernel", self.add_weight(shape, self._initializers[part], name=f"{part}_kernel"))

    def call(self, inputs: Any) -> Any:
        if not dtypes.is_float(inputs.dtype):
            raise TypeError(f"STFTSpectrogram {self.path!r}: expected inputs of a float dtype, but got {inputs.dtype}.")
        signal = inputs if self.data_format == "channels_first" else ops.transpose(inputs, (0, 2, 1))
        batch, channels, time = signal.shape
        signal = ops.reshape(signal, (batch * channels, time, 1))  # every channel is a signal of its own
        parts = [self._transformed(signal, part) for part in ("real", "imag") if hasattr(self, f"{part}_kernel")]
        out = self._of_mode(*parts)
        out = ops.reshape(out, (batch, channels, *out.shape[1:]))  # (batch, channels, frames, frequencies)
        return self._arranged(out)

    def _transformed(self, signal, part):
        kernel = ops.cast(getattr(self, f"{part}_kernel"), signal.dtype)
        return ops.conv(signal, kernel, strides=self._step, padding=self.padding, data_format="channels_last")

    def _of_mode(self, *parts):
        if self.mode in ("real", "imag"):
            return parts[0]
        real, imag = parts
        if self.mode == "angle":
            return ops.arctan2(imag, real)
        if self.mode == "stft":
            return ops.concatenate([real, imag], axis=-1)
        power = ops.square(real) + ops.square(imag)
        if self.mode == "psd":  # frequencies below 0 have the power of those above
            return power + ops.pad(power[..., 1:-1], [(0, 0)] * (power.ndim - 1) + [(1, 1)])
        magnitude = ops.sqrt(ops.maximum(power, epsilon()))
        return magnitude if self.mode == "magnitude" else ops.log(ops.maximum(magnitude, epsilon()))

    def _arranged(self, out):
        batch, channels, frames, frequencies = out.shape
        if self.data_format == "channels_first":
            joined = ops.reshape(ops.transpose(out, (0, 1, 3, 2)), (batch, channels * frequencies, frames))
            return out if self.expand_dims else joined
        if self.expand_dims:
            return ops.transpose(out, (0, 2, 3, 1))
        return ops.reshape(ops.transpose(out, (0, 2, 1, 3)), (batch, frames, channels * frequencies))


_HIGHEST = 1e12  # Hz


class MelSpectrogram(Layer):
    """Spectra of signals on the mel scale, in decibels: (batch, samples) or (samples,) -> (..., num_mel_bins, frames).

    Args:
        fft_length, sequence_stride, sequence_length: samples of a Fourier transform, from one frame to the next, and of a
            frame.
        sampling_rate, min_freq, max_freq: in Hz; max_freq is half the sampling rate by default.
        mag_exp: exponent of the magnitudes, 2 for power.
        power_to_db: give decibels above `ref_power`, with values below `min_power` cut, and at most `top_db` below the
            greatest.
        num_mel_bins: number of bands.
        window: name of the window, or None.
        top_db: decibels below the greatest at which values are cut.
        min_power: power at which values are cut.
        ref_power: power of 0 decibels.
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: TensorLike | str | None = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("fft_length", fft_length),
            ("sequence_stride", sequence_stride),
            ("num_mel_bins", num_mel_bins),
            ("sequence_length", sequence_length or fft_length),
        ):
            positive(self, **{name: value})
        within(self, 1, _HIGHEST, sampling_rate=sampling_rate)
        max_freq = within(self, 0, _HIGHEST, max_freq=max_freq or int(sampling_rate / 2))
        if within(self, 0, _HIGHEST, min_freq=min_freq) >= max_freq:
            raise ValueError(f"MelSpectrogram: `min_freq` must be below `max_freq`, but they are {min_freq} and {max_freq}.")
        if not within(self, 0, math.inf, min_power=min_power):
            raise ValueError("MelSpectrogram: `min_power` must be above 0, of which there is no logarithm.")
        within(self, 0, math.inf, top_db=top_db)
        for name, value in (("mag_exp", mag_exp), ("ref_power", ref_power)):
            within(self, -math.inf, math.inf, **{name: value})
        self.fft_length, self.sequence_stride, self.sequence_length = fft_length, sequence_stride, sequence_length or fft_length
        if fft_length < self.sequence_length:
            raise ValueError(
                f"MelSpectrogram: `fft_length` {fft_length} must not be less than `sequence_length` {self.sequence_length}."
            )
        self.window, self.sampling_rate, self.num_mel_bins = window, sampling_rate, num_mel_bins
        self.min_freq, self.max_freq = min_freq, max_freq
        self.power_to_db, self.top_db, self.mag_exp = power_to_db, top_db, mag_exp
        self.min_power, self.ref_power = min_power, ref_power

    def call(self, inputs: Any) -> Any:
        signal = ops.cast(inputs, self.compute_dtype if self.compute_dtype == "float64" else "float32")
        real, imag = ops.stft(
            signal,
            sequence_length=self.sequence_length,
            sequence_stride=self.sequence_stride,
            fft_length=self.fft_length,
            window=self.window,
            center=True,
        )
        power = ops.power(ops.sqrt(ops.square(real) + ops.square(imag)), self.mag_exp)
        out = ops.matmul(power, ops.convert_to_tensor(self._filters(), dtype=power.dtype))
        if self.power_to_db:
            reference = 10 * math.log10(max(abs(self.ref_power), self.min_power))
            out = 10 * ops.log10(ops.maximum(out, self.min_power)) - reference
            out = ops.maximum(out, ops.max(out) - self.top_db)
        return ops.cast(ops.swapaxes(out, -1, -2), self.compute_dtype)

    def _filters(self):
        """(frequencies, num_mel_bins): triangles of equal width on the mel scale, as in the Hidden Markov Model Toolkit."""
        frequencies = _mel(np.linspace(0, self.sampling_rate / 2, self.fft_length // 2 + 1))[:, None]
        edges = np.linspace(_mel(self.min_freq), _mel(self.max_freq), self.num_mel_bins + 2)
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
        filters = np.maximum(0, np.minimum(rising, falling))
        filters[0] = 0  # no constant part
        return filters.astype("float32")


def _mel(hertz):
    return 1127.0 * np.log(1 + hertz / 700.0)
