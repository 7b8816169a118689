"""What mlkit prints, and whether anybody watches: a terminal, a notebook, or a log file."""

import sys

from mlkit.core.deferred import Deferred
from mlkit.core.settings import is_interactive_logging_enabled

shutil, unicodedata = Deferred("shutil"), Deferred("unicodedata")  # only where a line is drawn
html, logging = Deferred("html"), Deferred("logging")  # these take longer to import than all of `mlkit.data`
IPython_display = Deferred("IPython.display")  # only in a notebook, which has it

# what stands for a drawn character where it cannot be shown
_ASCII = {ord(drawn): plain for drawn, plain in {"─": "-", "…": "~", "×": "x", "·": "."}.items()}
_PAGE_COLUMNS = 100  # that a notebook's page shows


def print_message(text: str) -> None:
    """Print lines, or log them (to "mlkit", level INFO) when interactive logging is off. Characters the output cannot show
    become "?"."""
    if not is_interactive_logging_enabled():
        logging.getLogger("mlkit").info(text)
        return
    print(_showable(str(text)), flush=True)


def print_folded(title: str, text: str) -> None:
    """Print a long text; in a notebook only its title is seen, until it is clicked on."""
    if not (in_notebook() and is_interactive_logging_enabled()):
        print_message(text)
        return
    folded = f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(text)}</pre></details>"
    IPython_display.display({"text/html": folded, "text/plain": text}, raw=True)


def redraw(text: str, drawn: int, end: str = "") -> int:
    """Write over the line where the cursor stands. Returns how many columns it takes now.

    drawn: columns it took before. end: what follows; a line that stays ends in a new line.
    """
    first, newline, rest = text.partition("\n")
    width = shown_width(first)
    sys.stdout.write(_showable("\r" + first + " " * (drawn - width) + newline + rest + end))
    sys.stdout.flush()
    return width


def can_show(text: str) -> bool:
    """Whether the output's encoding has these characters."""
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def columns() -> int:
    """How many columns a line has."""
    return _PAGE_COLUMNS if in_notebook() else max(20, shutil.get_terminal_size().columns - 1)


def shown_width(text: str) -> int:
    """How many columns a text takes on a terminal.

    >>> shown_width("loss"), shown_width("\u732b")  # a Chinese character takes two
    (4, 2)
    """
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _encoding():
    return getattr(sys.stdout, "encoding", None) or "utf-8"


def _showable(text):
    if can_show(text):
        return text
    return text.translate(_ASCII).encode(_encoding(), "replace").decode(_encoding())


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel, whose output is a page and no terminal."""
    if "ipykernel" not in sys.modules:
        return False
    shell = type(sys.modules["IPython"].get_ipython())
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in shell.__mro__)  # Colab's is derived from it


def is_live() -> bool:
    """Whether the output can be overwritten, so that a moving bar makes sense."""
    return is_interactive_logging_enabled() and (in_notebook() or bool(getattr(sys.stdout, "isatty", bool)()))
