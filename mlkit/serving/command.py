"""`mlkit serve`: models behind HTTP, from the command line."""

import argparse
import os
import sys
from typing import Any

from mlkit.serving.application import App
from mlkit.serving.server import listening, serve
from mlkit.serving.workers import Workers

_TOKEN = "MLKIT_SERVE_TOKEN"
# Threads of OpenMP sleep while they wait for one another. Spinning ones keep the event loop and other processes from the cores that they
# wait on: beside a busy process a batch of MobileNetV2 took 100 times as long.
_WAITING = {"OMP_WAIT_POLICY": "passive"}


def add_arguments(parser: Any) -> None:
    """Add what can be chosen to an argparse parser."""
    add = parser.add_argument
    add(
        "models",
        nargs="*",
        metavar="NAME=PATH",
        help="a .keras or .onnx file, or a folder of versions (1/, 2/ …) that is watched",
    )
    add("--folder", metavar="DIR", help="a folder of folders of versions; each is a model by its name")
    add("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1: this machine alone can ask)")
    add("--port", type=_port, default=8000, help="default 8000; 0 takes a free one")
    add("--workers", type=int, default=1, metavar="N", help="processes, which share the cores (default 1)")
    add("--max-batch-size", type=int, default=32, metavar="ROWS", help="rows that a model computes at once (default 32)")
    add(
        "--max-queue",
        type=int,
        default=128,
        metavar="N",
        help="requests that may wait for a model; more hear 503 (default 128)",
    )
    add(
        "--timeout",
        type=_positive,
        default=30.0,
        metavar="S",
        help="seconds after which a waiting request is given up (default 30)",
    )
    add("--max-body", type=_positive, default=64.0, metavar="MB", help="size that a request may have (default 64)")
    add("--memory-limit", type=_positive, metavar="MB", help="what models may take together; those not asked for go first")
    add("--watch", type=_positive, default=1.0, metavar="S", help="seconds between two looks at folders (default 1)")
    add("--allow-nonfinite", action="store_true", help="take NaN and infinities")
    add("--token", help=f"what requests must show (Authorization: Bearer TOKEN); better in the environment, as {_TOKEN}")


def run(options: Any) -> int:
    """Serve until SIGTERM or Ctrl-C. The exit status."""
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
    models = dict(map(_pair, options.models))
    if len(models) < len(options.models):
        raise ValueError("serve: two models have the same name.")
    if options.workers < 1:
        raise ValueError(f"serve: --workers must be 1 or more, but is {options.workers}.")
    settings = {
        "folder": options.folder,
        "max_batch_size": options.max_batch_size,
        "max_queue": options.max_queue,
        "timeout": options.timeout,
        "max_body": int(options.max_body * 1e6),
        "memory_limit": None if options.memory_limit is None else int(options.memory_limit * 1e6),
        "watch_seconds": options.watch,
        "allow_nonfinite": options.allow_nonfinite,
        "token": options.token or os.environ.get(_TOKEN) or None,
    }
    if options.workers == 1:
        with listening(options.host, options.port) as sock:
            return serve(models, settings, sock, lambda: _announce(options, sock.getsockname()[1]))
    App(models, **settings)  # what is wrong with them is said once
    workers = Workers({"models": models, **settings}, options.host, options.port, options.workers)
    return workers.run(lambda: _announce(options, workers.port))


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, but got {text!r}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, but got {text!r}")
    return number


def _pair(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ValueError(f"serve: expected NAME=PATH, but got {text!r}.")
    return name, path


def _announce(options: Any, port: int) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"mlkit serves at http://{host}:{port} (Ctrl-C ends it)", flush=True)
    if options.host not in ("127.0.0.1", "localhost", "::1") and not (options.token or os.environ.get(_TOKEN)):
        print(f"mlkit serve: whoever reaches {options.host} can ask; {_TOKEN} sets a token.", file=sys.stderr)
