"""Several processes on one machine: an all-reduce of 100 MB, a training step, the time to the first step; beside PyTorch on gloo. And
whether what `forecast` says comes true.

    python benchmarks/distributed.py [--torch PYTHON]

PYTHON is an interpreter that has PyTorch. Both sides run in turns, and what counts is the median of the turns.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAMS = pathlib.Path(__file__).parent / "distributed_programs"
ROOT = PROGRAMS.parents[1]
MODELS = ("mlp", "convolutions", "transformer")


def ours(program, *arguments, workers=2, threads=1):
    """What rank 0 of our program prints, in several processes or in one alone."""
    start = ["-m", "mlkit", "launch", "-n", str(workers)] if workers > 1 else []
    return _printed([sys.executable, *start, str(PROGRAMS / f"{program}_mlkit.py"), *arguments], threads)


def torchs(python, program, *arguments, workers=2, threads=1):
    """The same of PyTorch's, started by torchrun."""
    start = ["-m", "torch.distributed.run", "--nproc-per-node", str(workers), "--master-port", "29511"] if workers > 1 else []
    return _printed([python, *start, str(PROGRAMS / f"{program}_torch.py"), *arguments], threads)


def forecast(workers):
    """(seconds of a step that were forecast, seconds that it took), over a network of 60 MB/s and 1 ms that is made of sleep."""
    program = [str(PROGRAMS / "forecast_mlkit.py"), "60e6", "1e-3"]
    return _words([sys.executable, "-m", "mlkit", "launch", "-n", str(workers), *program], 1)[:2]


def _printed(command, threads):
    return _words(command, threads)[0]


def _words(command, threads):
    """The numbers that a program prints behind "seconds"."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "STARTED": str(time.time())}
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} has failed:\n{done.stderr}")
    return [float(word) for word in done.stdout.split("seconds ")[-1].splitlines()[0].split()]


def compared(turns, **sides):
    """Name -> median of the seconds that each side gives in turns."""
    found = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            found[name].append(side())
    return {name: statistics.median(values) for name, values in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has PyTorch")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["all_reduce", *MODELS, "start", "forecast"])
    options = parser.parse_args()
    peer = options.torch
    for name in options.only:
        if name == "forecast":
            for workers in (2, 4):
                said, took = map(statistics.median, zip(*(forecast(workers) for _ in range(options.turns))))
                print(
                    f"forecast, {workers} processes: {said * 1e3:.1f} ms, measured {took * 1e3:.1f} ms, {said / took:.2f}",
                    flush=True,
                )
            continue
        if name == "all_reduce":
            sides = {"two processes": lambda: ours("all_reduce")}
            if peer:
                sides["PyTorch, gloo"] = lambda: torchs(peer, "all_reduce")
        elif name == "start":
            sides = {"mlkit launch -n 2": lambda: ours("start")}
            if peer:
                sides["torchrun"] = lambda: torchs(peer, "start")
        else:
            sides = {
                "2 processes x 1 thread": lambda name=name: ours("step", name),
                "1 process x 2 threads": lambda name=name: ours("step", name, workers=1, threads=2),
            }
            if peer:
                sides["PyTorch DDP, 2 x 1"] = lambda name=name: torchs(peer, "step", name)
        found = compared(options.turns, **sides)
        first, *others = found.values()
        ratios = "".join(f", {first / other:.2f} of {side}" for side, other in zip(list(found)[1:], others))
        print(f"{name}: " + ", ".join(f"{side} {seconds * 1e3:.1f} ms" for side, seconds in found.items()) + ratios, flush=True)


if __name__ == "__main__":
    main()
