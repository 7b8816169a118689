"""The words of errors: the path of layers being called is added to the message of whatever goes wrong below."""

from typing import Any, TypeVar

_Error = TypeVar("_Error", bound=BaseException)


def inside(error: BaseException) -> Any:
    """The text of an error as a part of a longer sentence, which has a full stop of its own."""
    return str(error).strip().rstrip(".")


def add_place(error: BaseException, path: Any, inputs: Any) -> None:
    """Say in an exception at which layer, and for which inputs, it happened. Only the innermost layer speaks.

    The exception keeps its type; its first argument gets one more paragraph, or it gets a note where that is no text.
    """
    if getattr(error, "_mlkit_place", None) is not None or not error.args:
        return
    error._mlkit_place = path  # type: ignore[attr-defined]
    place = f"  in layer {path!r}, called with {inputs}"
    if isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{place}", *error.args[1:])
    else:  # the key of a KeyError, the number of an OSError
        error.add_note(place)


def explained(error: _Error, anchor: str) -> _Error:
    """The error with a last line in its traceback: where the documentation says what it means and what to do.

    Args:
        error: what is about to be raised; its own text stays as it is.
        anchor: of a heading in docs/errors.md.
    """
    error.add_note(f"What it means, and what to do: {page_of(anchor)}")
    return error


def page_of(anchor: str) -> str:
    """The path on the documentation's site of a heading in docs/errors.md."""
    return f"errors.html#{anchor}"
