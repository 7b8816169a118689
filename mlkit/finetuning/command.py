"""`python -m mlkit finetune`: fine-tune on a folder of photos, and write down what came of it."""

import json
import os
import sys
import time
import traceback

from mlkit import visualization
from mlkit.data.label_table import TASKS
from mlkit.data.photo_layout import parts
from mlkit.datasets import aerial_trees
from mlkit.finetuning import report, seeds_command
from mlkit.finetuning.command_messages import one_line, refuse, warnings_as_lines
from mlkit.finetuning.recipe import finetune, plan
from mlkit.finetuning.recorder import MODEL
from mlkit.objects.errors import ModelFileError
from mlkit.utils.console import print_message

INTERRUPTED = 130  # the exit status after Ctrl-C, as of other programs


def add_arguments(parser):
    """Describe the command's arguments to an `argparse` parser."""
    parser.add_argument(
        "folder", nargs="?", help="folder with one sub-folder of images a class, or with folders `train`, `val` and `test` "
        "that hold such; without it 800 aerial photos that come with the package are used",
    )  # fmt: skip
    parser.add_argument("--labels", metavar="FILE", help="a CSV file of names of photos and labels, in place of sub-folders")
    parser.add_argument(
        "--task",
        choices=TASKS,
        help="kind of labels in the CSV file, if it cannot be told: one class a photo, several, or numbers",
    )
    parser.add_argument(
        "--resize", default="stretch", choices=("stretch", "crop", "pad"), help="how photos get their size (default stretch)"
    )
    parser.add_argument(
        "--split", default="stratified", choices=("stratified", "random"),
        help="how a fifth is set aside where there is no folder `val`: of each class (default), or of all",
    )  # fmt: skip
    parser.add_argument(
        "--k-folds", type=int, metavar="K", help="cross-validate: train K times, each time with another part set aside"
    )
    parser.add_argument(
        "--model", default="EfficientNetLite0", help="a model of mlkit.applications (default EfficientNetLite0)"
    )
    parser.add_argument(
        "--weights",
        default="imagenet",
        help='"imagenet" (default), a file of weights, the model.keras of an earlier run, or "none"',
    )
    parser.add_argument(
        "--size", "--image-size", type=int, help="height and width in pixels (default 224; 96 for the packaged photos)"
    )
    parser.add_argument("--head-epochs", type=int, default=15, help="epochs for the new head alone (default 15)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs for all layers (default 2)")
    parser.add_argument("--batch-size", type=int, default=32, help="images a batch (default 32)")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="the highest for the head (default 0.003)")
    parser.add_argument(
        "--augment", nargs="?", const="light", choices=("light", "strong"),
        help='change images at random: "light" (flips, small rotations and zooms) unless "strong" is said',
    )  # fmt: skip
    parser.add_argument("--mixup", type=float, default=0.0, help="average images in pairs, with this alpha (0.2 is usual)")
    parser.add_argument("--label-smoothing", type=float, default=0.0, help="share of a label that all classes get")
    parser.add_argument("--balance", action="store_true", help="let rare classes count as much as others")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument(
        "--seeds", type=int, default=1, help="train so many times, each from a seed of its own, and tell the spread"
    )
    parser.add_argument("--output", default="finetuned", help='folder for what is written (default "finetuned")')
    used = parser.add_mutually_exclusive_group()
    used.add_argument("--resume", action="store_true", help="go on with the run in the output folder, to the same numbers")
    used.add_argument("--overwrite", action="store_true", help="replace the run in the output folder")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print the last line only")
    shown.add_argument("--json", action="store_true", help="print one JSON object at the end, and nothing else")


def run(options):
    """Fine-tune as the parsed arguments say. Returns the exit status: 0; 2 where something does not fit; 1 where training or the
    report failed, as on a full disk; 130 after Ctrl-C."""
    if options.seeds != 1:
        return seeds_command.run(options, run)
    say = _silent if options.json or options.quiet else print_message
    start = time.perf_counter()
    with warnings_as_lines("finetune"):
        try:
            folder, size = _folder(options, say)
            train, validation, test = parts(folder)
            if options.k_folds is not None:
                return _cross_validate(train, validation, options, size)
            planned = plan(options.model, train, validation, test=test, **_arguments(options, size))
        except (ValueError, OSError, ImportError) as error:
            return refuse("finetune", error)
        done = _trained(planned, options)
        if isinstance(done, int):
            return done
        say(f"\nTrained for {time.perf_counter() - start:.0f} s. {planned.best_text(done).capitalize()}")
        return _judged(planned, done, options, say)


def _cross_validate(train, validation, options, size):
    """Train once for each fold, and say how well. The exit status."""
    done = finetune(options.model, train, validation, k_folds=options.k_folds, **_arguments(options, size))
    result = {"status": "interrupted" if done.interrupted else "finished", "output": options.output, "folds": done.values}
    result |= {"monitor": done.monitor, "mean": done.mean, "spread": done.spread}
    values = ", ".join(f"{value:.4g}" for value in done.values)
    _tell(
        options, result, f"{done.monitor} of {len(done.runs)} folds: {values}; mean {done.mean:.4g}, spread {done.spread:.2g}"
    )
    return INTERRUPTED if done.interrupted else 0


def _trained(planned, options):
    """The `FineTuned`, or the exit status where training did not come to its end."""
    again = f"The same command with --resume goes on from there (folder {options.output})."
    try:
        done = planned.run()
    except KeyboardInterrupt:
        result = {"status": "interrupted", "output": options.output, "epochs": 0}
        _tell(options, result, "Stopped before the first epoch had ended: there is nothing to keep yet.")
        return INTERRUPTED
    except (OSError, ModelFileError) as error:
        print(f"mlkit finetune: {one_line(error).rstrip('.')}. What earlier epochs wrote is whole. {again}", file=sys.stderr)
        return 1
    if not done.interrupted:
        return done
    result = _result(planned, done, options)
    kept = f"The best model so far ({planned.best_text(done)}) is in {os.path.join(options.output, MODEL)}."
    _tell(options, result, f"Stopped by Ctrl-C after {result['epochs']} whole epochs. {kept} {again}")
    return INTERRUPTED


def _judged(planned, done, options, say):
    """Write the report. The exit status."""
    result, test = _result(planned, done, options), planned.data.test
    try:
        if test is not None:
            result["test"] = planned.evaluate(done.model, test)
            say(f"On the test photos: {', '.join(f'{name} {value:.4g}' for name, value in result['test'].items())}")
        found = None
        if planned.data.head.task == "classification":
            found = visualization.predictions_of(done.model, done.validation if test is None else test)
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


def _result(planned, done, options):
    """What --json prints."""
    return {
        "status": "interrupted" if done.interrupted else "finished",
        "output": options.output,
        "classes": done.class_names,
        "epochs": len(next(iter(done.history.values()))),
        planned.settings["monitor"]: done.best,
    }


def _arguments(options, size):
    return {
        "weights": None if options.weights.lower() == "none" else options.weights,
        "augment": options.augment,
        "mixup": options.mixup,
        "label_smoothing": options.label_smoothing,
        "class_weight": "balanced" if options.balance else None,
        "labels": options.labels,
        "task": options.task,
        "resize": options.resize,
        "split": options.split,
        "image_size": size,
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
        return options.folder, options.size

    say("No folder given: the photos are 800 aerial ones, of tree crowns and of what lies between.")
    return aerial_trees.folder(), 96 if options.size is None else options.size
