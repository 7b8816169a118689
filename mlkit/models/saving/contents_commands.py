"""`python -m mlkit inspect` and `diff`: what model files hold, and where two of them differ."""

import argparse
import json

from mlkit.models.saving.contents import described, differences, facts
from mlkit.utils.console import print_message


def add_inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of `inspect`."""
    parser.add_argument("file", help="a .keras, .weights.h5, .h5 or .safetensors file")


def inspect(options: argparse.Namespace) -> int:
    """Print what a file holds. The exit status."""
    print_message(json.dumps(facts(options.file), ensure_ascii=False) if options.json else described(options.file))
    return 0


def add_diff_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of `diff`."""
    parser.add_argument("files", nargs=2, metavar="FILE", help="files as `inspect` takes them")


def diff(options: argparse.Namespace) -> int:
    """Print where two files differ. The exit status: 1 if they do."""
    found = differences(*options.files)
    if options.json:
        print_message(json.dumps({"same": not found, "differences": found}, ensure_ascii=False))
    else:
        print_message("\n".join(found) or "Both files hold the same.")
    return 1 if found else 0
