"""Random numbers: the namespace `keras.random`.

Every function takes a `seed`: None (the global generator), an int (the same numbers at each call), or a `SeedGenerator`.
"""

from mlkit.core.lazy_import import offer
from mlkit.ops import operators as _operators

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".samplers": "categorical dropout normal randint shuffle truncated_normal uniform",
        ".rejection_samplers": "beta binomial gamma",
        "mlkit.objects.seed_generator": "SeedGenerator draw_seed global_seed_generator set_global_seed",
    },
)
