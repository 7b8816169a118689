"""`python -m mlkit COMMAND`: the main jobs from the command line."""

import argparse
import sys

from mlkit import demo
from mlkit.finetuning import command


def main(arguments=None):
    """Run a command; returns the exit status.

    Args:
        arguments: list of strings; those of the command line unless given.
    """
    parser = argparse.ArgumentParser(prog="python -m mlkit", description="mlkit: a Keras-style deep-learning library")
    commands = parser.add_subparsers(dest="command", required=True)
    own = commands.add_parser("demo", help="train a convolutional network on handwritten digits that come with the package")
    own.add_argument("--epochs", type=int, default=10, help="passes over the training digits (default 10)")
    own.add_argument("--seed", type=int, default=1, help="seed of the weights, the order and the split (default 1)")
    own.add_argument("--save", metavar="FILE", help="where to keep the model, ending in .keras (default: a temporary file)")
    command.add_arguments(commands.add_parser("finetune", help="fine-tune a pretrained image classifier on a folder of photos"))
    options = parser.parse_args(arguments)
    if options.command == "finetune":
        return command.run(options)
    return demo.run(epochs=options.epochs, seed=options.seed, path=options.save)


if __name__ == "__main__":
    sys.exit(main())
