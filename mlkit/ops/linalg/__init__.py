"""Linear algebra: `keras.ops.linalg`. Matrices are the last two axes; all axes before them are a batch.

The primitives and their gradients are in `triangular`, `orthogonal` and `spectral`.
"""

from mlkit.ops.linalg import decompositions, forward_mode, measures, orthogonal, systems
from mlkit.ops.linalg.decompositions import *  # noqa: F403
from mlkit.ops.linalg.forward_mode import *  # noqa: F403
from mlkit.ops.linalg.measures import *  # noqa: F403
from mlkit.ops.linalg.orthogonal import *  # noqa: F403
from mlkit.ops.linalg.systems import *  # noqa: F403

__all__ = sorted(name for part in (decompositions, forward_mode, measures, orthogonal, systems) for name in part.__all__)
