"""`python -m mlkit launch`: its arguments."""

import argparse
import sys

from mlkit.distribution import launch


def add_arguments(parser):
    """The arguments of the command, on an argparse parser."""
    parser.add_argument("-n", "--num-workers", type=int, required=True, help="how many processes")
    parser.add_argument("--hosts", help="names of hosts, as ssh knows them: a,b, or a:2,b:4 with the ranks of each")
    parser.add_argument(
        "--max-restarts", type=int, default=0, help="how often all start again after one was killed (default 0)"
    )
    parser.add_argument(
        "--min-workers", type=int, metavar="N", help="go on with one process less each time one was killed, but at least N"
    )
    parser.add_argument("--logs", metavar="FOLDER", help="where the output of the processes goes (default: a temporary folder)")
    parser.add_argument("--check", action="store_true", help="only see whether all processes can talk to one another")
    parser.add_argument("-m", "--module", action="store_true", help="SCRIPT is the name of a module, as for python -m")
    parser.add_argument("script", nargs="?", help="the script, and what follows are its own arguments")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(options):
    """Run the command; the exit status."""
    if not options.check and options.script is None:
        print("mlkit launch: which script? python -m mlkit launch -n 2 train.py", file=sys.stderr)
        return 2
    try:
        if options.check:
            return launch.check(options.num_workers, options.hosts)
        command = [*(["--module"] if options.module else []), options.script, *options.rest]
        return launch.launch(
            command, options.num_workers, options.max_restarts, options.hosts, options.logs, options.min_workers
        )
    except KeyboardInterrupt:
        print("mlkit launch: stopped by Ctrl-C.", file=sys.stderr)
        return 130
    except (ImportError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
