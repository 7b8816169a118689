"""`python -m mlkit photos`: a folder of photos is looked at before anything is trained on it."""

from mlkit.core.deferred import Deferred
from mlkit.data import verify_images
from mlkit.finetuning.command_messages import check_places
from mlkit.utils.console import print_message

json = Deferred("json")


def add_arguments(parser):
    """Describe the command's arguments to an `argparse` parser."""
    parser.add_argument("folder", help="one sub-folder a class, or folders `train`, `val` and `test` that hold such")
    parser.add_argument(
        "--html", nargs="?", const="photos.html", metavar="FILE", help="write a page with samples of each class"
    )
    parser.add_argument("--smallest-class", type=int, default=10, help="name classes with fewer photos (default 10)")
    parser.add_argument("--quiet", action="store_true", help="print the problems only")


def run(options):
    """Look as the parsed arguments say. Returns the exit status: 1 where photos cannot be read or there are none."""
    check_places(options.html)
    found = verify_images(options.folder, options.smallest_class, verbose=not (options.quiet or options.json))
    if options.json:
        print_message(json.dumps(found.get_config(), ensure_ascii=False))
    else:
        print_message("\n".join(found.problems) if options.quiet else str(found))
    if options.html:
        found.save(options.html)
        if not (options.json or options.quiet):
            print_message(f"Written to {options.html}")
    return 1 if found.broken or not found.photos else 0
