"""`python -m mlkit finetune`: fine-tune on a folder of photos, and write down what came of it."""

import csv
import json
import os
import time

from mlkit import visualization
from mlkit.data.image_folder import image_dataset_from_directory
from mlkit.datasets import aerial_trees
from mlkit.finetuning.recipe import finetune


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


def run(options):
    """Fine-tune as the parsed arguments say. Returns the exit status."""
    folder, size = _folder(options)
    train, validation, test = parts(folder)
    start = time.perf_counter()
    done = finetune(
        options.model,
        train,
        validation,
        weights=None if options.weights.lower() == "none" else options.weights,
        augmentation=options.augment,
        image_size=(size, size),
        batch_size=options.batch_size,
        head_epochs=options.head_epochs,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    print(f"\nTrained for {time.perf_counter() - start:.0f} s. Accuracy on the validation photos: {done.best:.1%}")
    judged = done.validation
    if test is not None:
        judged = image_dataset_from_directory(
            test, image_size=(size, size), class_names=done.class_names, shuffle=False, verbose=False
        )
    found = visualization.predictions_of(done.model, judged)
    if test is not None:
        print(f"Accuracy on the test photos in {test}: {found.accuracy:.1%}")
    for true, predicted, count in found.confusion_matrix().most_confused(5):
        print(f"  {count} x {true} taken for {predicted}")
    written = write(options.output, done, found)
    print(f"Written to {options.output}: {', '.join(written)}")
    return 0


def _folder(options):
    if options.folder is not None:
        return options.folder, options.size or 224

    print("No folder given: the photos are 800 aerial ones, of tree crowns and of what lies between.")
    return aerial_trees.folder(), options.size or 96


def parts(folder):
    """(folder to train on, for validation or None, to test on or None).

    These are its sub-folders `train`, `val` (or `validation`) and `test`, if it has `train` and no others; else it is itself the
    one to train on, and its sub-folders are classes.
    """
    if not os.path.isdir(folder):
        raise SystemExit(f"There is no folder {folder!r}.")
    within = {e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".")}
    if len(within) < 2 or "train" not in within or within - {"train", "val", "validation", "test"}:
        return folder, None, None
    paths = {name: os.path.join(folder, name) for name in within}
    return paths["train"], paths.get("val") or paths.get("validation"), paths.get("test")


def write(folder, done, found):
    """Write the model, its classes, the history and the pictures. Returns the names of the files.

    done: `FineTuned`. found: `Predictions`. Figures are written besides the report where matplotlib is installed.
    """
    os.makedirs(folder, exist_ok=True)
    done.model.save(os.path.join(folder, "model.keras"))
    with open(os.path.join(folder, "classes.json"), "w", encoding="utf-8") as file:
        json.dump(done.class_names, file, ensure_ascii=False, indent=1)
    with open(os.path.join(folder, "script.py"), "w", encoding="utf-8") as file:
        file.write(done.script)
    with open(os.path.join(folder, "history.csv"), "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", *done.history])
        rows.writerows([i, *values] for i, values in enumerate(zip(*done.history.values()), 1))
    curves, matrix, wrong = visualization.learning_curves(done), found.confusion_matrix(), found.most_wrong()
    pictures = [curves, matrix, found.most_confused(), wrong]
    if len(wrong):
        pictures.append(visualization.grad_cam(done.model, wrong.images, class_names=done.class_names))
    visualization.Page("Fine-tuning", *pictures).save(os.path.join(folder, "report.html"))
    written = ["model.keras", "classes.json", "script.py", "history.csv", "report.html"]
    for name, picture in {"curves.png": curves, "confusion.png": matrix}.items():
        try:
            picture.save(os.path.join(folder, name))
            written.append(name)
        except ImportError as error:
            print(f"{name} was left out. {error}")
    return written
