"""What commands say on the error output: one line for each mistake or warning."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


def one_line(message) -> str:
    """The text of an error or a warning without line breaks.

    >>> one_line("finetune: pass\\n  `labels`")
    'pass `labels`'
    """
    return " ".join(str(message).removeprefix("finetune: ").split())


def refuse(command: str, error: Exception) -> int:
    """Say in one line why a command cannot begin. The exit status."""
    print(f"mlkit {command}: {one_line(error)}", file=sys.stderr)
    return 2


def check_places(*paths: str | None) -> None:
    """Raise ValueError unless files can be written there, before anything is computed for them. None: nothing is to be written."""
    for path in filter(None, paths):
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise ValueError(f"{path!r} cannot be written: there is no folder {folder!r}.")
        if os.path.isdir(path):
            raise ValueError(f"{path!r} cannot be written: a folder has that name.")
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise ValueError(f"{path!r} cannot be written: permission denied.")


@contextlib.contextmanager
def warnings_as_lines(command: str) -> Iterator[None]:
    """Warnings are lines of the command; where in the library they come from is nothing to its user."""

    def show(message, *place, **more):
        print(f"mlkit {command}: {one_line(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
