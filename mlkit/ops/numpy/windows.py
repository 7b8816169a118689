"""Window functions: vectors of x weights for spectral analysis, in the default float dtype.

F. J. Harris, On the Use of Windows for Harmonic Analysis, Proc. IEEE 66 (1978).
"""

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, Spec, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives.convert import as_tensor, cast

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def bartlett(x: TensorLike) -> Tensor:
    """The triangular window of x elements, 0 at both ends.

    >>> bartlett(5).numpy()
    array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _window("bartlett", x)


def blackman(x: TensorLike) -> Tensor:
    """The Blackman window of x elements: three terms of cosines."""
    return _window("blackman", x)


def hamming(x: TensorLike) -> Tensor:
    """The Hamming window of x elements: a raised cosine with small steps at its ends."""
    return _window("hamming", x)


def hanning(x: TensorLike) -> Tensor:
    """The Hann window of x elements: a raised cosine, 0 at both ends."""
    return _window("hanning", x)


def kaiser(x: TensorLike, beta: float) -> Tensor:
    """The Kaiser window of x elements; a larger `beta` makes it narrower.

    Kaiser and Schafer, IEEE Trans. ASSP 28 (1980).

    Args:
        beta: shape of the window, 0 for a rectangle.
    """
    return _window("kaiser", x, float(beta))


_MOST = 1 << 32


def _window(name: str, x: TensorLike, *parameters: float) -> Tensor:
    if isinstance(x, Tensor) and type(x.data) is Spec:
        return Tensor(Spec((Dim(),), dtypes.floatx()))
    if isinstance(x, Tensor) and x.shape == () and x.is_concrete and float(x).is_integer():
        x = int(x)  # Keras takes a tensor of any dtype
    size = whole(name, "the number of elements", x, least=0)
    if size > _MOST:
        raise MemoryError(f"{name}: there is no memory for {size:,} elements.")
    return cast(as_tensor(np.asarray(getattr(np, name)(size, *parameters))), dtypes.floatx())
