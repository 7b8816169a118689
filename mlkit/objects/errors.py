"""The one error that reading a model file can end in, and that of a config."""

import contextlib
from collections.abc import Iterator
from typing import Any


class ModelFileError(ValueError):
    """A model file was refused, or could not be read or written.

    Args:
        path: the file.
        member: the place in it, for example ``"config.json, config.layers[3].config"``, or "".
        reason: what is wrong there.
        hint: what to do about it, or "".

    >>> print(ModelFileError("a.keras", "config.json", "it is not JSON.", "Save the model anew."))
    a.keras, config.json: it is not JSON. Save the model anew.
    """

    def __init__(self, path: Any, member: str = "", reason: str = "", hint: str = ""):
        self.path, self.member, self.reason, self.hint = str(path or ""), member, reason, hint
        place = ", ".join(p for p in (self.path, member) if p)
        text = f"{place}: {reason}" if place else reason
        super().__init__(f"{text} {hint}" if hint else text)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.path, self.member, self.reason, self.hint))


class ModelFileTypeError(ModelFileError, TypeError):
    """A ModelFileError whose cause was a TypeError, as which Keras's users expect it."""


class ConfigError(ValueError, TypeError):
    """An object cannot be made from its config. Constructors raise ValueError, and Keras's `from_config` raises TypeError: it is
    both."""


@contextlib.contextmanager
def reading(path: Any, member: str = "") -> Iterator[None]:
    """A block in which whatever goes wrong ends in a ModelFileError that names the file and the member of it."""
    try:
        yield
    except ModelFileError as error:
        if error.path:
            raise
        place = getattr(error, "config_place", "") or error.member
        raise ModelFileError(path, ", ".join(p for p in (member, place) if p), error.reason, error.hint) from error
    except Exception as error:
        place = getattr(error, "config_place", "")
        kind = ModelFileTypeError if isinstance(error, TypeError) else ModelFileError
        hint = _OBJECTS if "'dict' object" in str(error) else ""
        raise kind(path, ", ".join(p for p in (member, place) if p), _in_words(error), hint) from error


_OBJECTS = (
    "A class of yours got the config of an argument in place of the object: let its from_config() make it with "
    "mlkit.saving.deserialize_keras_object()."
)


@contextlib.contextmanager
def within(member: str) -> Iterator[None]:
    """A block that reads a member of an archive: the places that errors name are within it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(error.path, ", ".join(p for p in (member, error.member) if p), error.reason, error.hint) from error


def _in_words(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "the data are nested too deeply."
    if isinstance(error, MemoryError):
        return "there is not enough memory to load it."
    return f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
