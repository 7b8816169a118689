"""Mixed precision: the namespace `keras.mixed_precision`."""

from mlkit.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from mlkit.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
