"""What can only be checked on a GPU, in six minutes at most: python tests/cuda/on_device.py [--out FILE]

Needs a machine with an NVIDIA GPU, the packages of the extras `cuda` and `cuda-linalg` and pytest, but no network: wheels that are missing
may lie in the folder `wheels` beside this file, and are installed from there. Each part runs in a process of its own
with a time limit, for a kernel that fails may take its process with it, and the JSON is written after each: what was found by then is kept.
Numbers of parts that did not run stay away. `--double` runs all of it over the double of CuPy, which tells nothing of GPUs but that this
file comes to its end.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))
from tests.cuda import on_device_checks as checks  # noqa: E402  # found by the line above
from tests.cuda import on_device_times as times  # noqa: E402

SECONDS = 360
WHEELS = pathlib.Path(__file__).with_name("wheels")  # packages that the machine lacks, if somebody put them there


PARTS = {  # name -> (function, seconds, processes)
    "versions": (checks.versions, 30, 1),
    "samples": (checks.samples, 150, 8),
    "first steps": (checks.first_steps, 60, 1),
    "statistics": (checks.statistics, 30, 1),
    "captured": (checks.captured, 40, 1),
    "demo": (checks.demo, 60, 1),
    "fine-tuning": (checks.fine_tuning, 60, 1),
    "several GPUs": (checks.several, 60, 1),
    "kernels": (times.kernels, 40, 1),
    "steps": (times.steps, 90, 1),
    "pytorch": (times.pytorch, 90, 1),
    "compute-sanitizer": (times.sanitized, 60, 1),
}


# ---- running them --------------------------------------------------------------------------------------------------------


def child(options):
    """Run one part, and leave what it found in a file."""
    more = {"share": tuple(map(int, options.share.split("/")))} if options.share else {}
    pathlib.Path(options.out).write_text(json.dumps(found_by(options.part, options, **more)))


def found_by(name, options, **more):
    """What a part finds in this process."""
    try:
        return PARTS[name][0](checks.Machine(options.double, options.quick), **more)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:1000], "where": traceback.format_exc()[-3000:]}


def run(name, options, limit):
    """What the processes of a part found, put together."""
    _, _, processes = PARTS[name]
    processes = 1 if options.quick else min(processes, os.cpu_count() or 1)
    flags = [f for f, wanted in (("--double", options.double), ("--quick", options.quick)) if wanted]
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for i in range(processes):
            out = pathlib.Path(folder, f"{i}.json")
            share = ["--share", f"{i}/{processes}"] if name == "samples" else []
            command = [sys.executable, __file__, "--part", name, "--out", str(out), *flags, *share]
            env = {**os.environ, "OMP_NUM_THREADS": "1"} if processes > 1 else None
            started.append((subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL), out))
        end, found = time.monotonic() + limit, []
        for process, out in started:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if out.exists():
                found.append(json.loads(out.read_text()))
            else:
                found.append({"error": f"the process ended with {process.returncode} (its limit was {limit:.0f} s)"})
    return together(found)


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
    if WHEELS.is_dir() and not options.double:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *WHEELS.glob("*.whl")], check=True
        )
    start, report = time.monotonic(), {"executed on": "a double, no GPU" if options.double else "a GPU", "parts": {}}
    for name, (_, limit, _) in PARTS.items():
        left = SECONDS - (time.monotonic() - start)
        if left < 5:
            report["parts"][name] = {"left out": "the six minutes are over"}
            continue
        began = time.monotonic()
        found = found_by(name, options) if options.here else run(name, options, min(limit, left))
        report["parts"][name] = {**found, "took s": round(time.monotonic() - began, 1)}
        pathlib.Path(options.out).write_text(json.dumps(report, indent=1) + "\n")
        skipped = f"SKIPPED, {found['SKIPPED']}" if "SKIPPED" in found else "done"
        print(f"{name}: {'FAILED' if 'error' in found or found.get('wrong') else skipped}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
