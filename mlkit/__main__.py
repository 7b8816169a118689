"""`python -m mlkit COMMAND`, and the command `mlkit`: the main jobs from the command line."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import mlkit
from mlkit import about, demo, selftest
from mlkit.debugger import command as debug_command
from mlkit.distribution import launch_command
from mlkit.export import verify_command
from mlkit.finetuning import clean_command, judge_command, photos_command, predict_command
from mlkit.finetuning import command as finetune_command
from mlkit.finetuning.command_messages import refuse, warnings_as_lines
from mlkit.models.saving import contents_commands
from mlkit.serving import command as serve_command

INTERRUPTED = finetune_command.INTERRUPTED


class Command(NamedTuple):
    """words: what it does, for --help. add_arguments: None where it takes none of its own. as_json: it prints a JSON object where --json
    is given. tells: it has words of its own for what goes wrong; otherwise a mistake is one line."""

    words: str
    add_arguments: Callable[[argparse.ArgumentParser], None] | None
    run: Callable[[argparse.Namespace], int]
    as_json: bool = False
    tells: bool = False


COMMANDS = {
    "demo": Command(
        "train a convolutional network on handwritten digits that come with the package", demo.add_arguments, demo.command
    ),
    "finetune": Command(
        "fine-tune a pretrained image classifier on a folder of photos",
        finetune_command.add_arguments,
        finetune_command.run,
        tells=True,
    ),
    "photos": Command(
        "look at a folder of photos before training: counts, broken files, duplicates, a page",
        photos_command.add_arguments,
        photos_command.run,
        as_json=True,
    ),
    "predict": Command(
        "say what a model sees in photos: as a CSV file, as lines or as a page",
        predict_command.add_arguments,
        predict_command.run,
    ),
    "judge": Command(
        "judge a model, or two, on photos whose classes are known", judge_command.add_arguments, judge_command.run, as_json=True
    ),
    "clean": Command(
        "list the photos whose labels are likely wrong, and move those that you decide on",
        clean_command.add_arguments,
        clean_command.run,
        as_json=True,
    ),
    "serve": Command("answer requests over HTTP with models, until Ctrl-C", serve_command.add_arguments, serve_command.run),
    "launch": Command(
        "run a training script in several processes that train together",
        launch_command.add_arguments,
        launch_command.run,
        tells=True,
    ),
    "debug": Command(
        "run a script that trains; where a number is not finite, a prompt opens",
        debug_command.add_arguments,
        debug_command.run,
        tells=True,
    ),
    "inspect": Command(
        "say what a model file holds: config, layers, tensors",
        contents_commands.add_inspect_arguments,
        contents_commands.inspect,
        as_json=True,
    ),
    "diff": Command(
        "say where two model files differ; exit status 1 if they do",
        contents_commands.add_diff_arguments,
        contents_commands.diff,
        as_json=True,
    ),
    "verify-file": Command(
        "run an exported file on the sample that it holds; exit status 1 if it differs",
        verify_command.add_arguments,
        verify_command.run,
        as_json=True,
    ),
    "selftest": Command(
        "check in half a minute that this machine computes right; prints what an issue should say",
        None,
        selftest.command,
        as_json=True,
    ),
    "show-config": Command(
        "print versions, processor, libraries and settings, for an issue", None, about.config_command, as_json=True
    ),
    "cite": Command("print how a paper cites mlkit, for BibTeX", None, about.cite_command),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: those of the command line unless given.

    Returns:
        The exit status: 0; 1 where what was looked at is not as it should be; 2 for what cannot be begun; 130 after Ctrl-C.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # names of classes and files need not be in the terminal's alphabet
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser, parsers = _parsers()
    if not arguments:
        parser.print_help()
        return 0
    if arguments[0] == "launch":  # what follows the script is the script's
        options = parsers["launch"].parse_args(arguments[1:], argparse.Namespace(command="launch"))
    else:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            parsers[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return _run(options)


def _parsers():
    """(the parser of everything, that of each command)"""
    name = "mlkit" if os.path.basename(sys.argv[0]).startswith("mlkit") else "python -m mlkit"
    parser = _Parser(prog=name, description="mlkit: a Keras-style deep-learning library")
    parser.add_argument("--version", action="version", version=f"mlkit {mlkit.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, row in COMMANDS.items():
        own = commands.add_parser(command, help=row.words, description=f"{row.words[0].upper()}{row.words[1:]}.")
        if row.add_arguments is not None:
            row.add_arguments(own)
        if row.as_json:
            own.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    return parser, commands.choices


def _run(options):
    row = COMMANDS[options.command]
    try:
        if row.tells:
            return row.run(options)
        return _told(options, row.run)
    except KeyboardInterrupt:
        print(f"mlkit {options.command}: stopped by Ctrl-C.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _told(options, run):
    """Run a command whose mistakes and warnings are lines."""
    try:
        with warnings_as_lines(options.command):
            return run(options)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        return refuse(options.command, error)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (--help says what there is)\n")


if __name__ == "__main__":
    sys.exit(main())
