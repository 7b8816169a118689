"""What mlkit prints, and whether anybody watches: a terminal, a notebook, or a log file."""

import sys

from mlkit.core.settings import is_interactive_logging_enabled


def print_message(text: str) -> None:
    """Print a line, or log it (to "mlkit", level INFO) when interactive logging is off. Characters the output cannot show
    become "?"."""
    if not is_interactive_logging_enabled():
        import logging  # takes longer to import than all of `mlkit.data`; only where messages are logged

        logging.getLogger("mlkit").info(text)
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(str(text).encode(encoding, "replace").decode(encoding), flush=True)


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel, whose output is a page and no terminal."""
    return "ipykernel" in sys.modules and type(sys.modules["IPython"].get_ipython()).__name__ == "ZMQInteractiveShell"


def is_live() -> bool:
    """Whether the output can be overwritten, so that a moving bar makes sense."""
    return is_interactive_logging_enabled() and (in_notebook() or bool(getattr(sys.stdout, "isatty", bool)()))
