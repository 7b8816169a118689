"""Sound files as arrays (samples, channels) of numbers in [-1, 1]: WAV by the standard library, other kinds by soundfile."""

import math
import wave

import numpy as np

from mlkit.core.deferred import Deferred

soundfile = Deferred("soundfile")  # an optional package
FORMATS = (".wav", ".flac", ".ogg", ".mp3", ".aiff")
_REACH = 16  # zero crossings of the filter on either side, when sounds are resampled


def decode_sound(path):
    """The samples of a sound file, float32 (samples, channels), and their number a second."""
    if path.lower().endswith(".wav"):
        try:
            with wave.open(path, "rb") as file:
                shape, width, rate = (-1, file.getnchannels()), file.getsampwidth(), file.getframerate()
                return _of_bytes(file.readframes(file.getnframes()), width).reshape(shape), rate
        except wave.Error as error:
            if "unknown format" not in str(error):
                raise ValueError(f"The sound file {path} could not be read ({error}).") from error
        except EOFError as error:
            raise ValueError(f"The sound file {path} could not be read: it ends too early.") from error
    try:
        return soundfile.read(path, dtype="float32", always_2d=True)
    except ImportError:
        raise ImportError(
            f"{path}: only WAV files of whole numbers are read without help. For others run `pip install soundfile`."
        ) from None
    except RuntimeError as error:  # what soundfile raises
        raise ValueError(f"The sound file {path} could not be read ({error}).") from error


def _of_bytes(data, width):
    """Samples of so many bytes each as numbers in [-1, 1)."""
    if width == 1:  # the only kind without a sign
        return (np.frombuffer(data, "uint8").astype("float32") - 128) / 128
    if width == 3:
        parts = np.frombuffer(data, "uint8").reshape(-1, 3)
        padded = np.zeros((len(parts), 4), "uint8")
        padded[:, 1:] = parts  # the lowest byte is zero
        data, width = padded.tobytes(), 4
    return np.frombuffer(data, f"<i{width}").astype("float32") / 2.0 ** (8 * width - 1)


def resample(samples, rate, wanted):
    """Samples at another rate: a sum of the nearest ones, weighted by a windowed sinc that drops what the new rate cannot carry.

    >>> t = np.arange(8000)[:, None] / 8000
    >>> out = resample(np.sin(2 * np.pi * 100 * t), 8000, 4000)
    >>> out.shape, bool(np.abs(out[50:-50] - np.sin(2 * np.pi * 100 * t[::2])[50:-50]).max() < 0.01)
    ((4000, 1), True)
    """
    if rate == wanted:
        return samples
    cut = min(1.0, wanted / rate)  # of the old rate's band
    reach = math.ceil(_REACH / cut)
    padded = np.pad(samples, ((reach, reach + 1), (0, 0)))
    out = np.empty((math.ceil(len(samples) * wanted / rate), samples.shape[1]), "float32")
    for start in range(0, len(out), 4096):  # the weights of all of them would take much memory
        places = np.arange(start, min(start + 4096, len(out))) * (rate / wanted)
        first = np.floor(places).astype(int)
        near = np.arange(1 - reach, reach + 1)
        distance = (places - first)[:, None] - near
        weights = cut * np.sinc(cut * distance) * np.cos(np.pi * np.clip(distance / (2 * reach), -0.5, 0.5)) ** 2
        out[start : start + len(places)] = np.einsum("nk,nkc->nc", weights, padded[first[:, None] + near + reach])
    return out


def of_length(samples, length):
    """The first samples, with zeros behind them if there are too few."""
    return np.pad(samples[:length], ((0, max(0, length - len(samples))), (0, 0)))
