"""Linear algebra: `keras.ops.linalg`. Matrices are the last two axes; all axes before them are a batch.

The primitives and their gradients are in `triangular`, `orthogonal` and `spectral`.
"""

from mlkit.ops.linalg import decompositions, forward_mode, measures, orthogonal, systems
from mlkit.ops.linalg.decompositions import *
from mlkit.ops.linalg.forward_mode import *
from mlkit.ops.linalg.measures import *
from mlkit.ops.linalg.orthogonal import *
from mlkit.ops.linalg.systems import *

__all__ = sorted(name for part in (decompositions, forward_mode, measures, orthogonal, systems) for name in part.__all__)
