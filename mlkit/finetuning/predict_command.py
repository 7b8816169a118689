"""`python -m mlkit predict`: what a model says of a folder of photos, as a CSV file, as lines or as a page."""

import contextlib
import csv
import heapq
import sys

from mlkit.core.deferred import Deferred
from mlkit.data.decode import decode_image
from mlkit.finetuning.command_messages import check_places
from mlkit.models import answers_of, load_model
from mlkit.models.answers import photos_of
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import Page
from mlkit.pictures.table import Table
from mlkit.utils.console import print_message
from mlkit.utils.progbar import Progbar

json = Deferred("json")

_PICTURED, _LISTED, _THUMBNAIL = 48, 20_000, (128, 128)  # on the page: photos, rows, their size


def add_arguments(parser):
    """Describe the command's arguments to an `argparse` parser."""
    parser.add_argument("model", help="a .keras file of mlkit.finetune, or of any model with an `image_task`")
    parser.add_argument("photos", nargs="+", help="folders, with all below them, and photos")
    parser.add_argument("--csv", metavar="FILE", help="where to write a row for each photo; without it they are printed")
    parser.add_argument("--top", type=int, help="how many classes to name (default 1)")
    parser.add_argument(
        "--html",
        nargs="?",
        const="predictions.html",
        metavar="FILE",
        help="a page, too: counts, the least sure photos, a table",
    )
    parser.add_argument("--flip", action="store_true", help="take the mean over each photo and its mirror image")
    parser.add_argument("--batch-size", type=int, default=32, help="photos a batch (default 32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a photo, and nothing else")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options):
    """Answer as the parsed arguments say. Returns the exit status."""
    check_places(options.csv, options.html)
    model = load_model(options.model, compile=False)
    names = _value_names(model)
    if names and options.top is not None:
        raise ValueError(f"--top is for classes, but the model predicts numbers: {', '.join(names)}. Leave it out.")
    top = None if names else 1 if options.top is None else options.top
    photos = [path for given in options.photos for path, _ in photos_of(given)]
    written = [name for name in (options.csv, options.html) if name]
    shown = bool(written) and not (options.quiet or options.json)
    bar = Progbar(len(photos), unit_name="photo", verbose=1 if shown else 0)
    page, broken = (_ValuesPage(options.model, names) if names else _Page(options.model)) if options.html else None, []
    with _rows(options, top, names) as write:
        for answer in answers_of(model, photos, top, options.batch_size, "flip" if options.flip else None):
            write(answer)
            if page:
                page.add(answer)
            if answer.error is not None:
                broken.append(answer)
            bar.add(1)
    if page:
        page.save(options.html)
    for answer in broken:
        print(f"{answer.photo}: {answer.error}", file=sys.stderr)
    if broken:
        print(f"{len(broken)} of {len(photos)} photos could not be read.", file=sys.stderr)
    if shown:
        count = len(photos) - len(broken)
        print_message(f"{count} photo{'s' if count != 1 else ''}, written to {' and '.join(written)}")
    return 1 if broken else 0


def _value_names(model):
    """The names of the numbers that a model predicts; None of one that tells classes."""
    task = model.image_task
    if task is None or task.kind != "values":
        return None
    return list(task.class_names or map(str, range(model.output_shape[-1])))


@contextlib.contextmanager
def _rows(options, top, names):
    """A function that writes an answer, to the CSV file or as a line."""
    if not options.csv:
        yield (lambda a: print_message(json.dumps(_as_json(a), ensure_ascii=False))) if options.json else _printed
        return
    columns = names or [f"{word}_{i}" for i in range(1, top + 1) for word in ("class", "probability")]
    with open(options.csv, "w", encoding="utf-8-sig", newline="") as file:  # spreadsheets take that for UTF-8
        rows = csv.writer(file)
        rows.writerow(["photo", *columns, "error"])

        def write(answer):
            said = [cell for name, p in answer.ranked for cell in ([] if names else [name]) + [f"{p:.6g}"]]
            rows.writerow([_text(answer.photo), *said, *[""] * (len(columns) - len(said)), answer.error or ""])
            if options.json:
                print_message(json.dumps(_as_json(answer), ensure_ascii=False))

        yield write


def _printed(answer):
    if answer.error is None:
        print_message("\t".join([_text(answer.photo), *(f"{name} {p:.4f}" for name, p in answer.ranked)]))


def _as_json(answer):
    if answer.kind == "values":
        said = {"values": {name: float(f"{p:.6g}") for name, p in answer.ranked}}
    else:
        said = {"classes": [{"name": name, "probability": round(p, 6)} for name, p in answer.ranked]}
    return {"photo": _text(answer.photo), **({"error": answer.error} if answer.error is not None else said)}


def _text(path):
    """A path that any file can hold."""
    return path.encode("utf-8", "replace").decode("utf-8")


class _ValuesPage:
    """Gathers the numbers predicted."""

    def __init__(self, model, names):
        self.model, self.names, self.rows, self.broken, self.seen = model, names, [], [], 0

    def add(self, answer):
        self.seen += 1
        if answer.error is not None:
            self.broken.append([answer.photo, answer.error])
        elif len(self.rows) < _LISTED:
            self.rows.append([answer.photo, *(value for _, value in answer.ranked)])

    def save(self, path):
        table = Table(["photo", *self.names], self.rows, _listed(self.seen))
        Page("Predictions", f"{self.seen} photos, answered by {self.model}", table, *_unread(self.broken)).save(path)


def _listed(seen):
    return f"Photos{f' (first {_LISTED})' if seen > _LISTED else ''}"


def _unread(broken):
    return [Table(["photo", "reason"], broken, "Could not be read")] if broken else []


class _Page:
    """Gathers the answers, of which it keeps no photo but the least sure ones."""

    def __init__(self, model):
        self.model, self.counts, self.rows, self.broken, self.unsure, self.seen = model, {}, [], [], [], 0

    def add(self, answer):
        self.seen += 1
        if answer.error is not None:
            self.broken.append([answer.photo, answer.error])
            return
        self.counts[answer.name] = self.counts.get(answer.name, 0) + 1
        if len(self.rows) < _LISTED:
            self.rows.append([answer.photo, answer.name, answer.probability])
        entry = (-answer.probability, self.seen, answer)
        (heapq.heappush if len(self.unsure) < _PICTURED else heapq.heappushpop)(self.unsure, entry)

    def save(self, path):
        answers = [answer for _, _, answer in sorted(self.unsure, reverse=True, key=lambda entry: entry[:2])]
        images = [decode_image(a.photo, _THUMBNAIL, fit="pad") for a in answers]
        captions = [", ".join(f"{name} {p:.0%}" for name, p in a.ranked[:3]) for a in answers]
        counts = sorted(self.counts.items(), key=lambda pair: -pair[1])
        parts = [
            Table(["class", "photos"], counts, "How many of each"),
            Gallery(images, captions, "Least sure", hints=[a.photo for a in answers]),
            Table(["photo", "class", "probability"], self.rows, _listed(self.seen)),
        ]
        Page("Predictions", f"{self.seen} photos, answered by {self.model}", *parts, *_unread(self.broken)).save(path)
