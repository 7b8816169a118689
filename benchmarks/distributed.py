"""Several processes on one machine: an all-reduce of 100 MB, a training step, the time to the first step; beside PyTorch on gloo.

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


def _printed(command, threads):
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "STARTED": str(time.time())}
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} has failed:\n{done.stderr}")
    return float(done.stdout.split("seconds ")[-1].split()[0])


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
    parser.add_argument("--only", nargs="*", default=["all_reduce", *MODELS, "start"])
    options = parser.parse_args()
    peer = options.torch
    for name in options.only:
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
