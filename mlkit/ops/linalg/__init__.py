"""Linear algebra: `keras.ops.linalg`. Matrices are the last two axes; all axes before them are a batch.

The records of the ops and their gradients are in `mlkit/primitives/linalg`.
"""

from mlkit.ops.linalg import decompositions, forward_mode, measures, systems
from mlkit.ops.linalg.decompositions import *
from mlkit.ops.linalg.forward_mode import *
from mlkit.ops.linalg.measures import *
from mlkit.ops.linalg.systems import *

__all__ = sorted(name for part in (decompositions, forward_mode, measures, systems) for name in part.__all__)
