"""What each process of `python -m mlkit launch` runs: it joins the others, then runs the user's script, or a function."""

import importlib
import os
import pickle
import runpy
import sys
import traceback

from mlkit.core.exit_status import STOPPED
from mlkit.core.state import state
from mlkit.distribution import connections, gpus, hosts, link, processes
from mlkit.distribution.in_force import set_distribution
from mlkit.distribution.strategies import DataParallel


def main(arguments: list[str]) -> None:
    """Join, and do what the arguments say: ``script.py ...``, ``--module name ...``, ``--call file`` or ``--check file``; behind
    ``--gpu`` on a GPU only."""
    needs_gpu = arguments[0] == gpus.FLAG
    arguments = arguments[needs_gpu:]
    kind, *rest = arguments
    hosts.use_interface_to(os.environ.get(link.VARIABLE, "").split(" ")[0])
    if kind == "--check":
        connections.check(rest[0])
        return
    if needs_gpu:
        gpus.require_here()
    processes.join_as_launched()
    set_distribution(DataParallel())
    if kind == "--call":
        _call(rest[0])
    elif kind == "--module":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, os.path.dirname(os.path.abspath(kind))
        runpy.run_path(kind, run_name="__main__")


def _call(path: str) -> None:
    """Call the function of `mlkit.distribution.run`; rank 0 writes what it returns."""
    with open(path, "rb") as file:
        search, main_file, function = pickle.load(file)
    sys.path[:] = search
    if main_file is not None:  # as in multiprocessing: the caller's script, without what it does as a script
        names = runpy.run_path(main_file, run_name="__mp_main__")
        vars(sys.modules["__main__"]).update({k: v for k, v in names.items() if not k.startswith("__")})
    result = pickle.loads(function)()
    if state.backend.processes()[1] == 0:
        with open(path + ".result", "wb") as file:
            pickle.dump(result, file)


def run() -> None:
    """`main`, with an end that leaves no rank waiting for one that has failed."""
    code = 0
    try:
        main(sys.argv[1:])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if code == STOPPED:
        sys.exit(code)  # as all ranks do
    if code:
        os._exit(code)  # MPI's own end waits for all ranks, which wait for this one


if __name__ == "__main__":
    importlib.import_module("mlkit.distribution.worker").run()  # under its own name: __main__ is the user's script
