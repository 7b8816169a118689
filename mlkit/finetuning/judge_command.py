"""`python -m mlkit judge`: how good a model is on photos whose classes are known, alone or beside another."""

import os
import warnings

from mlkit.core.deferred import Deferred
from mlkit.core.settings import image_data_format
from mlkit.data.image_folder import ImageDataset, Images, pair_of_pixels
from mlkit.data.photo_layout import parts
from mlkit.finetuning.command_messages import check_places
from mlkit.finetuning.photo_data import read_photos
from mlkit.models import ImageTask, load_model
from mlkit.utils.console import print_message
from mlkit.visualization import compare, grad_cam, predictions_of

json = Deferred("json")


def add_arguments(parser):
    """Describe the command's arguments to an `argparse` parser."""
    parser.add_argument("model", help="a .keras file that knows its classes, such as mlkit.finetune writes")
    parser.add_argument("folder", help="photos, one sub-folder a class")
    parser.add_argument("--against", metavar="MODEL", help="another model to compare with on the same photos")
    parser.add_argument("--html", nargs="?", const="report.html", metavar="FILE", help="write the report as a page")
    parser.add_argument("--csv", metavar="FILE", help="write a row for each photo")
    parser.add_argument("--flip", action="store_true", help="take the mean over each photo and its mirror image")
    parser.add_argument("--batch-size", type=int, default=32, help="photos a batch (default 32)")
    parser.add_argument("--quiet", action="store_true", help="print one line")


def run(options):
    """Judge as the parsed arguments say. Returns the exit status."""
    check_places(options.csv, options.html)
    model = load_model(options.model, compile=False)
    found = _predictions(model, options)
    result = {"photos": len(found.labels), "accuracy": found.accuracy, "calibration_error": found.calibration().error}
    result |= {"macro_f1": found.by_class().macro_f1, "balanced_accuracy": found.by_class().balanced_accuracy}
    lines, others = [found.summary()], []
    if options.against:
        names = _told_apart(options.against, options.model)
        compared = compare(_predictions(load_model(options.against, compile=False), options), found, names)
        result |= {"difference": compared.difference, "interval": [compared.low, compared.high], "p": compared.p}
        lines.append(str(compared))
        others.append(compared)
    if not options.quiet:
        lines += [str(found.by_class())] if len(found.names) <= 40 else []
        lines += [f"{n} x {true} taken for {said}" for true, said, n in found.confusion_matrix().most_confused(5)]
    if options.csv:
        found.to_csv(options.csv)
    if options.html:
        wrong = found.most_wrong()
        maps = [grad_cam(model, wrong.images, class_names=found.names)] if len(wrong) else []
        found.report(*maps, *others).save(options.html)
    print_message(json.dumps(result) if options.json else "\n".join(lines))
    return 0


def _predictions(model, options):
    data = folder_for(model, options.folder, options.batch_size)
    return predictions_of(model, data, augment="flip" if options.flip else None)


def folder_for(model, folder, batch_size: int = 32):
    """The photos of a folder as a data set for a model: its classes (of which some may have no photo), its way of reading photos."""
    if model.image_task is not None and model.image_task.kind == "values":
        raise ValueError(f"model {model.name!r} predicts numbers, but sub-folders stand for classes.")
    _, *others = parts(folder)
    if found := [part for part in others if part]:
        raise ValueError(f"{folder!r} holds folders of parts: pass one of them, such as {found[-1]!r}.")
    files, _ = read_photos(folder, class_names=model.class_names)
    lacking = [name for name, count in files.counts().items() if not count]
    if lacking:
        warnings.warn(f"{folder}: no photo of {', '.join(lacking[:8])}{' ...' if len(lacking) > 8 else ''}.", stacklevel=2)
    task = model.image_task or ImageTask()
    size = task.image_size or model.input_shape[1:3]
    reading = (task.color_mode, batch_size, pair_of_pixels(size), task.interpolation, task.fit, image_data_format())
    return ImageDataset(Images(files, "int", *reading, shuffle=False, seed=0, on_corrupt="warn", antialias=task.antialias))


def _told_apart(*paths):
    """Short names of files: without the folders that they share."""
    common = os.path.commonpath([os.path.abspath(os.path.dirname(p) or ".") for p in paths])
    return [os.path.relpath(p, common).removesuffix(".keras") for p in paths]
