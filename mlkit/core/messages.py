"""The words of errors: the path of layers being called is added to the message of whatever goes wrong below."""

from typing import Any


def inside(error: BaseException) -> Any:
    """The text of an error as a part of a longer sentence, which has a full stop of its own."""
    return str(error).strip().rstrip(".")


def add_place(error: BaseException, path: Any, inputs: Any) -> None:
    """Say in an exception at which layer, and for which inputs, it happened. Only the innermost layer speaks.

    The exception keeps its type; its first argument gets one more paragraph.
    """
    if getattr(error, "_mlkit_place", None) is not None or not error.args or not isinstance(error.args[0], str):
        return
    error._mlkit_place = path  # type: ignore[attr-defined]
    error.args = (f"{error.args[0]}\n  in layer {path!r}, called with {inputs}", *error.args[1:])
