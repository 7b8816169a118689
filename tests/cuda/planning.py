"""Answers of `plan_graphs` for the calls of `plan_cases`, and the table that they are compared with.

The table is written by `python -m tests.cuda.planning`, beside the packages of the extra `test-cuda`: GPU -> dtype -> call -> number of the
way, or -1. What is not in it has a plan in the first way.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tests.cuda import plan_cases
from tests.cuda.described_gpus import GPUS

TABLE = pathlib.Path(__file__).with_name("plans.json")
ALWAYS = ("H100", "A100", "T4")  # the other GPUs are asked about in turn, one a day
DTYPES = ("float32", "bfloat16", "float16")
_HERE = pathlib.Path(__file__).parent
_COMPILER = shutil.which("gcc") or shutil.which("cc")


def missing():
    """What is missing for asking, in words, or None."""
    if _COMPILER is None:
        return "what stands in for the driver is compiled with gcc, which is not there"
    if importlib.util.find_spec("cudnn") is None or importlib.util.find_spec("nvidia") is None:
        return 'cuDNN is not there: pip install "mlkit-engine[test-cuda]"'
    return None


def compiled_standin(folder):
    path = pathlib.Path(folder, "libcuda.so.1")
    source = _HERE / "libcuda_standin.c"
    subprocess.run([_COMPILER, "-shared", "-fPIC", "-O1", "-Wl,-soname,libcuda.so.1", "-o", path, source], check=True)
    return path


def ask(folder, gpu, calls, mode="tf32"):
    """The answers for some calls. folder: for the library that stands in for the driver, and for plans."""
    command = [sys.executable, "-m", "tests.cuda.plan_graphs", str(compiled_standin(folder)), gpu, mode]
    env = dict(os.environ, MLKIT_HOME=str(folder), MLKIT_DEVICE="cpu")
    run = subprocess.run(command, input=json.dumps(calls), capture_output=True, text=True, env=env, cwd=_HERE.parents[1])
    if run.returncode:
        raise RuntimeError(f"planning for {gpu} failed:\n{run.stderr[-3000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def answers(folder, gpu):
    """dtype -> call -> answer, where that is not the first way."""
    cases = {dtype: plan_cases.cases(dtype, gpu in ALWAYS) for dtype in DTYPES}
    found = iter(ask(folder, gpu, [call for of_dtype in cases.values() for call in of_dtype.values()]))
    every = {dtype: {name: next(found) for name in of_dtype} for dtype, of_dtype in cases.items()}
    return {dtype: {name: way for name, way in of_dtype.items() if way != 0} for dtype, of_dtype in every.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        table = {gpu: answers(folder, gpu) for gpu in GPUS}
    TABLE.write_text(json.dumps(table, indent=0) + "\n")
