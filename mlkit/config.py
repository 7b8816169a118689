"""Global settings: float type, epsilon, image layout, backend (the namespace `keras.config`)."""

from mlkit.core import debug, program_cache
from mlkit.core.backend import backend, set_backend
from mlkit.core.dtypes import floatx, set_floatx
from mlkit.core.settings import epsilon, image_data_format, set_epsilon, set_image_data_format

# ---- logging, limits -------------------------------------------------------------------------------------------------

_interactive, _filter_tracebacks, _max_epochs, _max_steps = True, True, None, None


def enable_interactive_logging():
    """Show progress bars and messages (the default)."""
    global _interactive
    _interactive = True


def disable_interactive_logging():
    """Show no progress bars where `verbose="auto"`; lines instead."""
    global _interactive
    _interactive = False


def is_interactive_logging_enabled():
    return _interactive


def enable_traceback_filtering():
    """Kept for Keras code: mlkit's tracebacks are short as they are."""
    global _filter_tracebacks
    _filter_tracebacks = True


def disable_traceback_filtering():
    """The opposite of `enable_traceback_filtering`."""
    global _filter_tracebacks
    _filter_tracebacks = False


def is_traceback_filtering_enabled():
    return _filter_tracebacks


def max_epochs():
    """The most epochs any `fit` runs, or None: a brake for quick checks of long scripts."""
    return _max_epochs


def set_max_epochs(value):
    """Limit the epochs of every `fit`; None lifts the limit."""
    global _max_epochs
    _max_epochs = value


def max_steps_per_epoch():
    """The most steps of any epoch, or None."""
    return _max_steps


def set_max_steps_per_epoch(value):
    """Limit the steps of every epoch; None lifts the limit."""
    global _max_steps
    _max_steps = value


# ---- attention, dtype policy -----------------------------------------------------------------------------------------

_flash_attention = None


def enable_flash_attention():
    """Allow fused attention kernels where a backend has them."""
    global _flash_attention
    _flash_attention = True


def disable_flash_attention():
    """Compute attention by its definition."""
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled():
    """True, False, or None where neither was chosen."""
    return _flash_attention


def dtype_policy():
    """The dtype policy of layers that are given no `dtype`."""
    from mlkit import dtype_policies

    return dtype_policies.dtype_policy()


def set_dtype_policy(policy):
    """Set the dtype policy of layers made from now on: a name such as ``"mixed_bfloat16"`` or a DTypePolicy."""
    from mlkit import dtype_policies

    dtype_policies.set_dtype_policy(policy)


# ---- compiled programs --------------------------------------------------------------------------------------------------


def exact():
    """Whether compiled functions give, to the bit, what their ops give one by one. False unless `set_exact` or the environment
    variable ``MLKIT_EXACT=1`` changed it."""
    return debug.EXACT


def set_exact(value):
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


def program_memory():
    """How many bytes the compiled programs that are kept may take together: 512 MB unless `set_program_memory` or the environment
    variable ``MLKIT_PROGRAM_MEMORY`` changed it.

    >>> program_memory() > 0
    True
    """
    return program_cache.cache.limit


def set_program_memory(nbytes):
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


def num_threads():
    """The number of threads that kernels use: what was set, else OMP_NUM_THREADS, else one for each core.

    >>> num_threads() >= 1
    True
    """
    return _threads_of("num_threads").num_threads()


def set_num_threads(number):
    """Use so many threads for kernels from now on. Results depend on the number, in their last bits, and on nothing else.

    Raises ValueError unless `number` is a positive int.
    """
    if type(number) is not int or number < 1:
        raise ValueError(f"set_num_threads: expected a positive int, but got {number!r}.")
    _threads_of("set_num_threads").set_num_threads(number)


def _threads_of(function):
    from mlkit.core.state import state

    if not hasattr(state.backend, function):
        raise NotImplementedError(f"{function}: the {state.backend.name} backend manages its threads itself.")
    return state.backend
