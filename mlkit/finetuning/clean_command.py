"""`python -m mlkit clean`: labels that are likely wrong, for a person to decide on, and what was decided done."""

import json

from mlkit.finetuning.command_messages import check_places
from mlkit.finetuning.cross_validation import cross_validated
from mlkit.finetuning.judge_command import folder_for
from mlkit.models import load_model
from mlkit.utils.console import print_message
from mlkit.visualization import apply_labels


def add_arguments(parser):
    """Describe the command's arguments to an `argparse` parser."""
    parser.add_argument("folder", help="photos, one sub-folder a class")
    parser.add_argument("--model", help="a .keras file that was trained on these classes, to list the photos")
    parser.add_argument("--csv", default="labels.csv", metavar="FILE", help='where to list them (default "labels.csv")')
    parser.add_argument("--html", nargs="?", const="labels.html", metavar="FILE", help="show them on a page, too")
    parser.add_argument(
        "--folds", type=int, default=5, help="parts of the photos, each judged by what it was not trained on (5)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the parts (default 0)")
    parser.add_argument(
        "--apply", metavar="FILE", help='do what the column "action" of such a file says: "move" a photo to the class suggested, or '
        '"remove" it to the folder beside; rows without an action are left alone',
    )  # fmt: skip


def run(options):
    """List, or do what was decided. Returns the exit status."""
    if options.apply:
        moved = apply_labels(options.folder, options.apply)
        if options.json:
            print_message(json.dumps({"moved": [[str(old), str(new)] for old, new in moved]}))
            return 0
        count = f"{len(moved)} photos were moved.{'' if moved else ' No row has an action.'}"
        print_message("\n".join([*(f"{old} -> {new}" for old, new in moved), count]))
        return 0
    if not options.model:
        raise ValueError("pass --model, the model that is to judge the photos, or --apply, a list with your decisions.")
    check_places(options.csv, options.html)
    model = load_model(options.model, compile=False)
    listed = cross_validated(model, folder_for(model, options.folder), folds=options.folds, seed=options.seed).to_clean()
    listed.save(options.csv)
    if options.html:
        listed.save(options.html)
    if options.json:
        print_message(json.dumps({"listed": len(listed), "csv": options.csv, "html": options.html}))
        return 0
    told = f'Fill the column "action" with move or remove, then: python -m mlkit clean {options.folder} --apply {options.csv}'
    print_message(f"{len(listed)} labels are likely wrong: see {options.csv}. {told if len(listed) else ''}".rstrip())
    return 0
