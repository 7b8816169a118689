"""Global settings: float type, epsilon, image layout, backend (the namespace `keras.config`)."""

from mlkit import dtype_policies
from mlkit.core import debug, program_cache
from mlkit.core.backend import backend, register_backend, set_backend, set_device
from mlkit.core.dtypes import floatx, set_floatx
from mlkit.core.settings import (
    deterministic,
    disable_flash_attention,
    disable_interactive_logging,
    disable_traceback_filtering,
    enable_flash_attention,
    enable_interactive_logging,
    enable_traceback_filtering,
    epsilon,
    float32,
    image_data_format,
    is_flash_attention_enabled,
    is_interactive_logging_enabled,
    is_traceback_filtering_enabled,
    max_epochs,
    max_steps_per_epoch,
    set_deterministic,
    set_epsilon,
    set_float32,
    set_image_data_format,
    set_max_epochs,
    set_max_steps_per_epoch,
)
from mlkit.core.state import state

# ---- dtype policy -------------------------------------------------------------------------------------------------------


def dtype_policy() -> dtype_policies.DTypePolicy | dtype_policies.DTypePolicyMap:
    """The dtype policy of layers that are given no `dtype`."""
    return dtype_policies.dtype_policy()


def set_dtype_policy(policy: str | dtype_policies.DTypePolicy | dtype_policies.DTypePolicyMap) -> None:
    """Set the dtype policy of layers made from now on: a name such as ``"mixed_bfloat16"`` or a DTypePolicy.

    Args:
        policy: a name ("float32", "mixed_float16", "mixed_bfloat16", ...), a DTypePolicy or a DTypePolicyMap.
    """
    dtype_policies.set_dtype_policy(policy)


# ---- compiled programs --------------------------------------------------------------------------------------------------


def exact() -> bool:
    """Whether compiled functions give, to the bit, what their ops give one by one. False unless `set_exact` or the environment
    variable ``MLKIT_EXACT=1`` changed it."""
    return debug.EXACT


def set_exact(value: bool) -> None:
    """Choose whether compiled functions, `fit` and `predict` among them, give to the bit what their ops give one by one.

    Otherwise passes may fuse and reorder what is computed; `docs/how_it_works.md` lists them with what each may change. Exact programs
    are for finding out where a difference comes from: they are slower and take more memory. Functions are traced anew after a change.
    One sum is left in an order of its own: gradients of a tensor that is used inside and outside of `ops.cond`, `scan` and their kin.

    Args:
        value: True or False.

    Raises:
        TypeError: If `value` is not a bool.

    >>> set_exact(True)
    >>> exact()
    True
    >>> set_exact(False)
    """
    if type(value) is not bool:
        raise TypeError(f"set_exact: expected True or False, but got {value!r}.")
    debug.EXACT = value


def program_memory() -> int:
    """How many bytes the compiled programs that are kept may take together: 512 MB unless `set_program_memory` or the environment
    variable ``MLKIT_PROGRAM_MEMORY`` changed it.

    >>> program_memory() > 0
    True
    """
    return program_cache.cache.limit


def set_program_memory(nbytes: int) -> None:
    """Choose how many bytes compiled programs may take together.

    A program is made for each shape of the arguments of a compiled function, of `fit` and `predict` among them. Where new ones find no
    room those used longest ago are dropped, and made anew if they are needed again. There is room for a sixteenth of the bytes at first,
    and for more when programs come again that were dropped. The last eight are always kept. What is counted is about what a
    program takes while it does not run: its constants, generated code and bookkeeping. The arrays that programs compute in share one
    block of memory.

    Args:
        nbytes: A number of bytes, 0 or more.

    Raises:
        ValueError: If `nbytes` is no int of 0 or more.

    >>> before = program_memory()
    >>> set_program_memory(1 << 30)
    >>> program_memory()
    1073741824
    >>> set_program_memory(before)
    """
    if type(nbytes) is not int or nbytes < 0:
        raise ValueError(f"set_program_memory: expected a number of bytes, an int of 0 or more, but got {nbytes!r}.")
    program_cache.cache.limit = nbytes


# ---- threads -----------------------------------------------------------------------------------------------------------


def num_threads() -> int:
    """The number of threads that kernels use: what was set, else OMP_NUM_THREADS, else one for each core.

    >>> num_threads() >= 1
    True
    """
    number = state.backend.num_threads()
    if number is None:
        raise NotImplementedError(f"num_threads: the {state.backend.name} backend manages its threads itself.")
    return number


def set_num_threads(number: int) -> None:
    """Use so many threads for kernels from now on. Results depend on the number, in their last bits, and on nothing else.

    Args:
        number: threads, 1 or more.

    Raises ValueError unless `number` is a positive int.
    """
    if type(number) is not int or number < 1:
        raise ValueError(f"set_num_threads: expected a positive int, but got {number!r}.")
    state.backend.set_num_threads(number)


# ---- what other libraries have -------------------------------------------------------------------------------------------


def enable_unsafe_deserialization():
    """Refused: there is no switch that lets a model file run code.

    Raises:
        ValueError: always, with what to do instead.
    """
    raise ValueError(
        "enable_unsafe_deserialization: no file or config runs code here, and no switch changes that. Write lambdas as named "
        "functions, and pass these and classes of your own in custom_objects={name: ...}."
    )


def is_nnx_enabled():
    """False: layers are not modules of Flax's NNX."""
    return False
