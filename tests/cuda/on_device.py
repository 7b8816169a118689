"""What can only be checked on a GPU, in six minutes at most: python tests/cuda/on_device.py [--out FILE]

Needs a machine with an NVIDIA GPU, the packages of the extras `cuda` and `cuda-linalg` and pytest, but no network: wheels that are missing
may lie in the folder `wheels` beside this file, and are installed from there, and kernels that were compiled before in the folder `caches`
(`python -m tests.cuda.precompile`). Each part runs in a process of its own with a time limit, for
a kernel that fails may take its process with it, and leaves what it has found so far in a file: that goes into the JSON, which is written
after each. No part takes the least time that those after it need. Numbers of parts that did not run stay away. `--double` runs all of it
over the double of CuPy, which tells nothing of GPUs but that this file comes to its end.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))
from tests.cuda import on_device_checks as checks  # noqa: E402  # found by the line above
from tests.cuda import on_device_times as times  # noqa: E402

SECONDS = 360
WHEELS = pathlib.Path(__file__).with_name("wheels")  # packages that the machine lacks, if somebody put them there
CACHES = pathlib.Path(__file__).with_name("caches")  # kernels that precompile.py compiled elsewhere, if it did


class Part(NamedTuple):
    """seconds: its limit; least: what the parts before leave to it."""

    function: Callable
    seconds: int
    least: int
    processes: int = 1


PARTS = {
    "versions": Part(checks.versions, 30, 15),
    "samples": Part(checks.samples, 150, 100, processes=8),
    "first steps": Part(checks.first_steps, 60, 40),
    "statistics": Part(checks.statistics, 30, 15),
    "captured": Part(checks.captured, 40, 15),
    "demo": Part(checks.demo, 60, 15),
    "fine-tuning": Part(checks.fine_tuning, 60, 15),
    "several GPUs": Part(checks.several, 60, 5),
    "kernels": Part(times.kernels, 40, 20),
    "steps": Part(times.steps, 90, 60),
    "pytorch": Part(times.pytorch, 90, 40),
    "compute-sanitizer": Part(times.sanitized, 60, 10),
}


# ---- running them --------------------------------------------------------------------------------------------------------


def child(options):
    """Run one part, and leave what it found in a file."""
    more = {"share": tuple(map(int, options.share.split("/")))} if options.share else {}
    found = found_by(options.part, options, checks.Found(options.out), **more)
    pathlib.Path(options.out).write_text(json.dumps(found))


def found_by(name, options, found=None, **more):
    """What a part finds in this process."""
    found = checks.Found() if found is None else found
    try:
        machine = checks.Machine(options.double, options.quick, found)
        return {**PARTS[name].function(machine, **more), **checks.compiled(machine)}
    except Exception as error:
        return {**found, "error": f"{type(error).__name__}: {error}"[:1000], "where": traceback.format_exc()[-3000:]}


def run(name, options, limit):
    """What the processes of a part found, put together."""
    processes = 1 if options.quick else min(PARTS[name].processes, os.cpu_count() or 1)
    flags = [f for f, wanted in (("--double", options.double), ("--quick", options.quick)) if wanted]
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for i in range(processes):
            out = pathlib.Path(folder, f"{i}.json")
            share = ["--share", f"{i}/{processes}"] if name == "samples" else []
            command = [sys.executable, __file__, "--part", name, "--out", str(out), *flags, *share]
            env = {**os.environ, **({"OMP_NUM_THREADS": "1"} if processes > 1 else {}), **_with_caches(CACHES)}
            process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
            started.append((process, out))
        end, found = time.monotonic() + limit, []
        for process, out in started:
            ended = _ended(process, end)
            found.append(json.loads(out.read_text()) if out.exists() else {})
            if not ended:
                found[-1]["cut off"] = f"its limit was {limit:.0f} s"
            elif process.returncode or not found[-1]:
                found[-1]["error"] = f"the process ended with {process.returncode}"
    return together(found)


def _ended(process, end):
    """Whether a process has ended by itself; at the end of its time it is killed with those that it started."""
    try:
        process.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that a driver holds is left behind
            process.wait(5)
        return False
    return True


def _with_caches(folder):
    """What the environment of parts has more where there are kernels that were compiled before."""
    return {"MLKIT_HOME": str(folder)} if folder.is_dir() else {}


def install_wheels(folder):
    """Install the packages that lie in a folder. What is wrong, or None."""
    wheels = sorted(map(str, folder.glob("*.whl")))
    if not wheels:
        return None
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *wheels]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr[-1000:] if done.returncode else None


def together(found):
    """One dict of several: numbers are added, dicts united."""
    whole = {}
    for part in found:
        for key, value in part.items():
            if key in whole and isinstance(value, dict):
                whole[key].update(value)
            elif key in whole and isinstance(value, (int, float)):
                whole[key] += value
            else:
                whole.setdefault(key, value)
    return whole


def _write(path, report):
    pathlib.Path(path).write_text(json.dumps(report, indent=1) + "\n")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=str(pathlib.Path(__file__).with_name("on_device.json")))
    parser.add_argument("--double", action="store_true", help="over the double of CuPy, where there is no GPU")
    parser.add_argument("--quick", action="store_true", help="as little of each part as shows that it comes to its end")
    parser.add_argument("--here", action="store_true", help="all parts in this process, without limits of time")
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--share", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        return child(options)
    start, report = time.monotonic(), {"executed on": "a double, no GPU" if options.double else "a GPU", "parts": {}}
    if not options.double and (wrong := install_wheels(WHEELS)):
        report["wheels that could not be installed"] = wrong
    later = sum(part.least for part in PARTS.values())
    for name, part in PARTS.items():
        later -= part.least
        left = SECONDS - (time.monotonic() - start)
        if left < 5:
            report["parts"][name] = {"left out": "the six minutes are over"}
            continue
        began, limit = time.monotonic(), min(part.seconds, left, max(part.least, left - later))
        found = found_by(name, options) if options.here else run(name, options, limit)
        report["parts"][name] = {**found, "took s": round(time.monotonic() - began, 1)}
        _write(options.out, report)
        cut = f"CUT OFF, {found['cut off']}" if "cut off" in found else "done"
        skipped = f"SKIPPED, {found['SKIPPED']}" if "SKIPPED" in found else cut
        print(f"{name}: {'FAILED' if 'error' in found or found.get('wrong') else skipped}", flush=True)
    _write(options.out, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
