"""Starting scripts in several processes, for tests."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def launch(*arguments, workers=2, timeout=120, **environment):
    """`python -m mlkit launch`, with these arguments behind the number of processes."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native", **environment}
    command = [sys.executable, "-m", "mlkit", "launch", "-n", str(workers), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
