"""OPS as a whole: importing this module imports the records of all primitives.

Who looks at every op, or has the names of ops from elsewhere (a kernel table, a file), takes OPS from here: `core.op.OPS` has the
records of those modules that something has imported so far.
"""

from mlkit.core.op import OPS as OPS
from mlkit.primitives import (  # noqa: F401  (imported for the records they make)
    collectives,
    control,
    elementwise,
    foreign,
    fourier,
    fused,
    linear,
    movement,
    placement,
    random,
    reduction,
    shape,
    sorting,
    window,
)
from mlkit.primitives.linalg import orthogonal, spectral, triangular  # noqa: F401
