"""The session: automatic names and the global random generator, which live as long as the process."""

import gc

from mlkit.core.names import reset_names
from mlkit.objects.keras_tensor import KerasTensor


def clear_session(free_memory: bool = True) -> None:
    """Start automatic names ("dense", "dense_1" ...) anew, and free the memory of models that are no longer in use.

    Args:
        free_memory: whether to run Python's garbage collection.
    """
    reset_names()
    if free_memory:
        gc.collect()


def is_keras_tensor(x: object) -> bool:
    """Whether x is a symbolic tensor of the functional API.

    Args:
        x: anything.
    """
    return isinstance(x, KerasTensor)
