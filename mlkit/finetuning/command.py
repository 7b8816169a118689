"""`python -m mlkit finetune`: fine-tune on a folder of photos, and write down what came of it."""

import json
import os
import sys
import time
import traceback

from mlkit import visualization
from mlkit.data.image_folder import image_dataset_from_directory
from mlkit.datasets import aerial_trees
from mlkit.finetuning import report
from mlkit.finetuning.recipe import plan
from mlkit.finetuning.recorder import MODEL
from mlkit.utils.console import print_message

INTERRUPTED = 130  # the exit status after Ctrl-C, as of other programs


def add_arguments(parser):
    """Describe the command's arguments to an `argparse` parser."""
    parser.add_argument(
        "folder", nargs="?", help="folder with one sub-folder of images a class, or with folders `train`, `val` and `test` "
        "that hold such; without it 800 aerial photos that come with the package are used",
    )  # fmt: skip
    parser.add_argument(
        "--model", default="EfficientNetLite0", help="a model of mlkit.applications (default EfficientNetLite0)"
    )
    parser.add_argument("--weights", default="imagenet", help='"imagenet" (default), a file, or "none" for random weights')
    parser.add_argument("--size", type=int, help="height and width in pixels (default 224; 96 for the packaged photos)")
    parser.add_argument("--head-epochs", type=int, default=15, help="epochs for the new head alone (default 15)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs for all layers (default 2)")
    parser.add_argument("--batch-size", type=int, default=32, help="images a batch (default 32)")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="the highest for the head (default 0.003)")
    parser.add_argument("--augment", action="store_true", help="flip, rotate and zoom images at random")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--output", default="finetuned", help='folder for what is written (default "finetuned")')
    used = parser.add_mutually_exclusive_group()
    used.add_argument("--resume", action="store_true", help="go on with the run in the output folder, to the same numbers")
    used.add_argument("--overwrite", action="store_true", help="replace the run in the output folder")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print the last line only")
    shown.add_argument("--json", action="store_true", help="print one JSON object at the end, and nothing else")


def run(options):
    """Fine-tune as the parsed arguments say. Returns the exit status: 0; 2 where something does not fit, 1 where a disk was full,
    130 after Ctrl-C."""
    say = _silent if options.json or options.quiet else print_message
    start = time.perf_counter()
    try:
        folder, size = _folder(options, say)
        train, validation, test = parts(folder)
        planned = plan(options.model, train, validation, **_arguments(options, size))
        judged = None
        if test is not None:
            judged = image_dataset_from_directory(
                test, image_size=(size, size), class_names=planned.data.class_names, shuffle=False, verbose=False
            )
    except (ValueError, OSError, ImportError) as error:
        return refuse("finetune", error)
    again = f"The same command with --resume goes on from there (folder {options.output})."
    try:
        done = planned.run()
    except KeyboardInterrupt:
        print_message("Stopped before the first epoch had ended: there is nothing to keep yet.")
        return INTERRUPTED
    except OSError as error:
        print(f"mlkit finetune: {error}. What earlier epochs wrote is whole. {again}", file=sys.stderr)
        return 1
    result = {
        "status": "interrupted" if done.interrupted else "finished",
        "output": options.output,
        "classes": done.class_names,
    }
    result |= {"epochs": len(next(iter(done.history.values()))), "validation_accuracy": done.best}
    if done.interrupted:
        _tell(options, result, f"Stopped by Ctrl-C after {result['epochs']} whole epochs. The best model so far, {done.best:.1%} "
              f"right on the validation photos, is in {os.path.join(options.output, MODEL)}. {again}")  # fmt: skip
        return INTERRUPTED
    say(f"\nTrained for {time.perf_counter() - start:.0f} s. Accuracy on the validation photos: {done.best:.1%}")
    try:
        found = visualization.predictions_of(done.model, done.validation if judged is None else judged)
        if judged is not None:
            result["test_accuracy"] = found.accuracy
            say(f"Accuracy on the test photos in {test}: {found.accuracy:.1%}")
        for true, predicted, count in found.confusion_matrix().most_confused(5):
            say(f"  {count} x {true} taken for {predicted}")
        report.write(options.output, done, found, say)
    except Exception as error:  # whatever it is: what was trained is on the disk
        print(f"mlkit finetune: the model is in {options.output}, but its report failed.", file=sys.stderr)
        traceback.print_exception(error)
        return 1
    result["files"] = sorted(name for name in os.listdir(options.output) if not name.startswith("."))
    _tell(options, result, f"Written to {options.output}: {', '.join(result['files'])}")
    return 0


def refuse(command, error):
    """Say in one line, on the error output, why a command cannot begin. The exit status."""
    text = " ".join(str(error).removeprefix(f"{command}: ").split())
    print(f"mlkit {command}: {text}", file=sys.stderr)
    return 2


def _arguments(options, size):
    return {
        "weights": None if options.weights.lower() == "none" else options.weights,
        "augmentation": options.augment,
        "image_size": (size, size),
        "batch_size": options.batch_size,
        "head_epochs": options.head_epochs,
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "seed": options.seed,
        "output": options.output,
        "resume": options.resume,
        "overwrite": options.overwrite,
        "verbose": 0 if options.json or options.quiet else "auto",
    }


def _silent(text):
    """What is said where only the result is wanted."""


def _tell(options, result, text):
    """The result, as JSON or in words."""
    print_message(json.dumps(result) if options.json else text)


def _folder(options, say):
    """(folder, pixels): those given, or of the photos that come with the package."""
    if options.folder is not None:
        return options.folder, options.size or 224

    say("No folder given: the photos are 800 aerial ones, of tree crowns and of what lies between.")
    return aerial_trees.folder(), options.size or 96


def parts(folder):
    """(folder to train on, for validation or None, to test on or None).

    These are its sub-folders `train`, `val` (or `validation`) and `test`, if it has `train` and no others; else it is itself the
    one to train on, and its sub-folders are classes.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder!r}.")
    within = {e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".")}
    if len(within) < 2 or "train" not in within or within - {"train", "val", "validation", "test"}:
        return folder, None, None
    paths = {name: os.path.join(folder, name) for name in within}
    return paths["train"], paths.get("val") or paths.get("validation"), paths.get("test")
