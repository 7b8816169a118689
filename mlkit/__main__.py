"""`python -m mlkit COMMAND`: the main jobs from the command line."""

import argparse
import sys

from mlkit import demo, selftest
from mlkit.debugger import command as debug_command
from mlkit.distribution import launch_command
from mlkit.export.model_export import verify
from mlkit.finetuning import clean_command, command, judge_command, photos_command, predict_command
from mlkit.finetuning.command_messages import refuse, warnings_as_lines
from mlkit.models.saving.contents import described, differences
from mlkit.objects.errors import ModelFileError
from mlkit.serving import command as serve_command

_PHOTOS = {
    "photos": (photos_command, "look at a folder of photos before training: counts, broken files, duplicates, a page"),
    "predict": (predict_command, "say what a model sees in photos: as a CSV file, as lines or as a page"),
    "judge": (judge_command, "judge a model, or two, on photos whose classes are known"),
    "clean": (clean_command, "list the photos whose labels are likely wrong, and move those that you decide on"),
}


def main(arguments=None):
    """Run a command; returns the exit status.

    Args:
        arguments: list of strings; those of the command line unless given.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # names of classes and files need not be in the terminal's alphabet
    parser = _Parser(prog="python -m mlkit", description="mlkit: a Keras-style deep-learning library")
    commands = parser.add_subparsers(dest="command", required=True)
    own = commands.add_parser("demo", help="train a convolutional network on handwritten digits that come with the package")
    own.add_argument("--epochs", type=int, default=10, help="passes over the training digits (default 10)")
    own.add_argument("--seed", type=int, default=1, help="seed of the weights, the order and the split (default 1)")
    own.add_argument("--save", metavar="FILE", help="where to keep the model, ending in .keras (default: a temporary file)")
    command.add_arguments(commands.add_parser("finetune", help="fine-tune a pretrained image classifier on a folder of photos"))
    for name, (module, words) in _PHOTOS.items():
        module.add_arguments(commands.add_parser(name, help=words))
    serve_command.add_arguments(commands.add_parser("serve", help="answer requests over HTTP with models, until Ctrl-C"))
    commands.add_parser(
        "selftest", help="check in half a minute that this machine computes right; prints what an issue should say"
    )
    debug_command.add_arguments(
        commands.add_parser("debug", help="run a script that trains; where a number is not finite, a prompt opens")
    )
    shown = commands.add_parser("inspect", help="say what a model file holds: config, layers, tensors")
    shown.add_argument("file", help="a .keras, .weights.h5, .h5 or .safetensors file")
    verified = commands.add_parser(
        "verify-file", help="run an exported file on the sample that it holds; exit status 1 if it differs"
    )
    verified.add_argument("file", help="an .onnx file written by Model.export")
    launch_command.add_arguments(
        commands.add_parser("launch", help="run a training script in several processes that train together")
    )
    compared = commands.add_parser("diff", help="say where two model files differ; exit status 1 if they do")
    compared.add_argument("files", nargs=2, metavar="FILE")
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["launch"]:  # what follows the script is the script's
        return launch_command.run(commands.choices["launch"].parse_args(arguments[1:]))
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    if options.command in ("inspect", "diff"):
        return _look(options)
    if options.command == "debug":
        return debug_command.run(options)
    if options.command == "selftest":
        return selftest.run()
    if options.command == "serve":
        return _serve(options)
    if options.command == "verify-file":
        difference = verify(options.file)
        print(
            f"{options.file}: {'as' if difference <= 1 else 'not as'} the model answered ({difference:.2g} of what is allowed)"
        )
        return int(difference > 1)
    if options.command == "demo":
        return demo.run(epochs=options.epochs, seed=options.seed, path=options.save)
    try:
        if options.command == "finetune":
            return command.run(options)
        with warnings_as_lines(options.command):
            return _PHOTOS[options.command][0].run(options)
    except KeyboardInterrupt:
        print(f"mlkit {options.command}: stopped by Ctrl-C.", file=sys.stderr)
        return command.INTERRUPTED
    except (ValueError, OSError, ImportError) as error:
        if options.command not in _PHOTOS:
            raise
        return refuse(options.command, error)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (--help says what there is)\n")


def _serve(options):
    try:
        return serve_command.run(options)
    except (ValueError, OSError, ImportError) as error:
        return refuse("serve", error)


def _look(options):
    """Print what a file holds, or where two differ. The exit status: 2 for files that cannot be read."""
    try:
        if options.command == "inspect":
            print(described(options.file))
            return 0
        found = differences(*options.files)
    except ModelFileError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(found) or "Both files hold the same.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
