"""Settings that hold for all threads: small number, layout of images, logging, limits. `mlkit.config` shows them to users."""

import os

_epsilon, _image_data_format = 1e-7, "channels_last"


def cache_folder() -> str:
    """Where downloaded files and compiled kernels are kept: the environment variable MLKIT_HOME, or `~/.mlkit`."""
    return os.path.expanduser(os.environ.get("MLKIT_HOME") or os.path.join("~", ".mlkit"))


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite, 1e-7 unless `set_epsilon` changed it."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the value of `epsilon`.

    Args:
        value: a small positive number.
    """
    global _epsilon
    _epsilon = float(value)


def image_data_format() -> str:
    """The default layout of images: ``"channels_last"`` unless `set_image_data_format` changed it."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of images: ``"channels_last"`` or ``"channels_first"``.

    Args:
        data_format: one of the two.
    """
    global _image_data_format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'set_image_data_format: expected "channels_last" or "channels_first", but got {data_format!r}.')
    _image_data_format = data_format


# ---- logging, limits -------------------------------------------------------------------------------------------------

_interactive, _filter_tracebacks, _max_epochs, _max_steps = True, True, None, None


def enable_interactive_logging() -> None:
    """Show progress bars and messages (the default)."""
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Show no progress bars where `verbose="auto"`; lines instead."""
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Whether `fit` and others show progress on the screen, not in the log."""
    return _interactive


def enable_traceback_filtering() -> None:
    """Kept for Keras code: mlkit's tracebacks are short as they are."""
    global _filter_tracebacks
    _filter_tracebacks = True


def disable_traceback_filtering() -> None:
    """The opposite of `enable_traceback_filtering`."""
    global _filter_tracebacks
    _filter_tracebacks = False


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks leave out the frames of the library."""
    return _filter_tracebacks


def max_epochs() -> int | None:
    """The most epochs any `fit` runs, or None: a brake for quick checks of long scripts."""
    return _max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Limit the epochs of every `fit`; None lifts the limit.

    Args:
        max_epochs: the greatest number of epochs, or None.
    """
    global _max_epochs
    _max_epochs = max_epochs


def max_steps_per_epoch() -> int | None:
    """The most steps of any epoch, or None."""
    return _max_steps


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limit the steps of every epoch; None lifts the limit.

    Args:
        max_steps_per_epoch: the greatest number of batches of an epoch, or None.
    """
    global _max_steps
    _max_steps = max_steps_per_epoch


# ---- attention -------------------------------------------------------------------------------------------------------

_flash_attention = None


def enable_flash_attention() -> None:
    """Let attention be computed without all scores in memory at once, where a backend can (the default)."""
    global _flash_attention
    _flash_attention = True


def disable_flash_attention() -> None:
    """Compute attention by its definition, in all that is traced from now on."""
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """Whether attention may do without all scores in memory: True, False, or None where neither was chosen."""
    return _flash_attention


# ---- numbers on GPUs -------------------------------------------------------------------------------------------------

_float32 = "tf32"


def float32() -> str:
    """How GPUs compute products of float32: "tf32" unless `set_float32` changed it."""
    return _float32


def set_float32(mode: str) -> None:
    """Choose how GPUs compute products of float32. The CPU computes them exactly always.

    Args:
        mode: ``"tf32"``: factors are rounded to 11 significant bits and sums are of float32, several times as fast on cards of compute
            capability 8.0 and later, and what TensorFlow and JAX do by default. ``"exact"``: as on the CPU.

    Raises:
        ValueError: It is neither.

    >>> set_float32("exact")
    >>> float32()
    'exact'
    >>> set_float32("tf32")
    """
    global _float32
    if mode not in ("tf32", "exact"):
        raise ValueError(f'set_float32: expected "tf32" or "exact", but got {mode!r}.')
    _float32 = "tf32" if mode == "tf32" else "exact"


_deterministic = True


def deterministic() -> bool:
    """Whether two runs on a GPU give the same bits: True unless `set_deterministic` changed it."""
    return _deterministic


def set_deterministic(value: bool) -> None:
    """Choose whether two runs on a GPU must give the same bits.

    Kernels of mlkit's own always add in the same order, and so does the CPU. Where this is set to False, cuDNN may take engines for the
    gradients of convolutions and of attention that add in another order at each run, some of which are faster. Programs are prepared anew
    after a change.

    Args:
        value: True or False.

    Raises:
        TypeError: It is neither.

    >>> set_deterministic(False)
    >>> deterministic()
    False
    >>> set_deterministic(True)
    """
    global _deterministic
    if type(value) is not bool:
        raise TypeError(f"set_deterministic: expected True or False, but got {value!r}.")
    _deterministic = value
