"""Random numbers: the namespace `keras.random`.

Every function takes a `seed`: None (the global generator), an int (the same numbers at each call), or a `SeedGenerator`.
"""

from mlkit.ops import operators as _operators  # noqa: F401  (which what is drawn must have)
from mlkit.random.samplers import (
    beta,
    binomial,
    categorical,
    dropout,
    gamma,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)
from mlkit.random.seed_generator import SeedGenerator, draw_seed, global_seed_generator, set_global_seed
