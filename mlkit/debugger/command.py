"""`python -m mlkit debug script.py`: a script whose trainings are debugged in the terminal."""

import argparse
import os
import runpy
import sys

from mlkit.callbacks import standing
from mlkit.debugger.breakpoint import NONFINITE, Breakpoint
from mlkit.debugger.terminal import TerminalDebugger, fields_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "-b", "--break", dest="breakpoints", action="append", default=[], metavar="FIELDS",
        help="where to stop, as 'layer=block3/* op=log when=nonfinite'; may be given more than once (default: when=nonfinite)",
    )  # fmt: skip
    parser.add_argument("--start", action="store_true", help="stop before the first call of the first step too")
    parser.add_argument("script", help="a Python file that calls `fit`")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds in sys.argv")


def run(options: argparse.Namespace) -> int:
    """Run the script. The exit status is 2 for one that is not there."""
    if not os.path.isfile(options.script):
        print(f"mlkit debug: there is no file {options.script!r}.", file=sys.stderr)
        return 2
    breakpoints = [Breakpoint(**fields_of(text.split())) for text in options.breakpoints] or [Breakpoint(when=NONFINITE)]
    argv, path = sys.argv, list(sys.path)
    sys.argv = [options.script, *options.arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(options.script)))
    with standing.callback(TerminalDebugger(breakpoints, options.start)):
        try:
            runpy.run_path(options.script, run_name="__main__")
        finally:
            sys.argv, sys.path[:] = argv, path
    return 0
