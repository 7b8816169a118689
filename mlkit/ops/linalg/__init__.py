"""Linear algebra: `keras.ops.linalg`. Matrices are the last two axes; all axes before them are a batch."""

from mlkit.ops.linalg import orthogonal
from mlkit.ops.linalg.orthogonal import *  # noqa: F403

__all__ = [*orthogonal.__all__]
