"""Compare mlkit with Keras on its three backends, hand-written PyTorch, eager and compiled, and, for inference, ONNX Runtime.

    python benchmarks/peers.py                        once: make the peers' environments
    python benchmarks/compare.py [WORKLOAD ...]       run, print, and keep the figures in benchmarks/results.json
    python benchmarks/compare.py --write ...          and write the tables of docs/performance.md
    python benchmarks/compare.py --write --rounds 0   only write the tables of what is kept

Every library runs each workload in processes of its own, one after the other, in `--rounds` rounds, so that what else the
machine does meets all alike. A figure is a median within a process; of the rounds the best counts. The machine's peak is
measured in the same run. With `--libraries` the others keep their figures, and a ratio of figures of two runs is marked.
torch.compile needs a C++ compiler and takes minutes. Exit status 1 if mlkit fails or misses a target.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

import peers
import report

RESULTS = pathlib.Path(__file__).with_name("results.json")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(report.TARGETS))
    options.add_argument("--cache", default=peers.CACHE, help="folder of the peers' environments")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0, help="time for each figure")
    options.add_argument("--timeout", type=float, default=900.0, help="seconds a process may take")
    options.add_argument("--libraries", nargs="*", help="only these; the others keep their figures")
    options.add_argument("--busy", action="store_true", help="one core and CPU time, for a machine that others use too")
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = options.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"about": "", "workloads": {}}
    if given.rounds:
        run(given, kept)
    if given.write:
        report.write_page(kept["workloads"], kept["about"])
    shown = {w: kept["workloads"][w] for w in given.workloads or report.TARGETS if w in kept["workloads"]}
    print(f"\n{report.ratio_table(shown)}\n\n{report.time_table(shown)}")
    missed = [m for w, r in shown.items() for m in report.missed(w, r["libraries"])]
    print("\nmissed: " + ("; ".join(missed) or "nothing"))
    return bool(missed or any("mlkit" in r["failed"] for r in shown.values()))


def run(given, kept):
    """Measure the workloads and put them among the kept results, one after the other."""
    chosen = [lib for lib in peers.libraries(given.cache) if not given.libraries or lib.name in given.libraries]
    if given.busy:
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])  # the processes started below keep to it
        os.environ["BENCHMARK_CLOCK"] = "cpu"
    kept["about"] = about(given)
    print(kept["about"], flush=True)
    for workload in given.workloads or report.TARGETS:
        found, failed, peaks = {}, {}, []
        begun = datetime.datetime.now().isoformat(timespec="minutes")
        for _ in range(given.rounds):
            peaks += peak(given.timeout)
            for lib in chosen:
                if (workload, lib.name) in peers.TOO_SLOW or lib.name in failed:
                    continue
                try:
                    result = process(lib.command(workload, given.seconds), lib.environment, given.timeout)
                except RuntimeError as error:
                    failed[lib.name] = str(error)
                    print(f"{workload} {lib.name}: {error}", flush=True)
                    continue
                old = found.setdefault(lib.name, result)
                found[lib.name] = {**old, **{k: min(v, old.get(k, v)) for k, v in result.items()}, "run": begun}
        for name, figures in found.items():
            print(f"{workload:14}{name:18}" + "".join(f"{k} {figures[k]:<12.4g}" for k in report.COLUMNS if k in figures))
        old = kept["workloads"].get(workload, {"libraries": {}, "failed": {}}) if given.libraries else {}
        kept["workloads"][workload] = dict(
            date=datetime.date.today().isoformat(),
            gflops=max(peaks, default=None),
            libraries={**old.get("libraries", {}), **found},
            failed={**{k: v for k, v in old.get("failed", {}).items() if k not in found}, **failed},
        )
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def process(command, environment, timeout):
    """The JSON of the last line that a command prints."""
    ignored = ("OPENBLAS_", "PYTHONDONTWRITEBYTECODE")  # settings of developers, which users do not have
    clean = {k: v for k, v in os.environ.items() if not k.startswith(ignored)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=dict(clean, **environment))
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"took more than {timeout:g} s") from None
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:160])
    return json.loads(done.stdout.strip().splitlines()[-1])


def peak(timeout):
    """GFLOP/s of mlkit's fastest large product or convolution, in a list; an empty one if mlkit does not run."""
    code = "from mlkit.compiler.roofline import measure_peaks; from timing import clock; print(measure_peaks(clock=clock).flops / 1e9)"
    path = os.pathsep.join([str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    try:
        return [process([sys.executable, "-c", code], {"PYTHONPATH": path}, timeout)]
    except RuntimeError as error:
        print(f"peak: {error}", flush=True)
        return []


def cpu():
    """The name of the processor."""
    import platform

    with open("/proc/cpuinfo") as file:
        names = (line.split(":")[1].strip() for line in file if "model name" in line)
        return next(names, platform.processor())


def about(given):
    """One paragraph on what was measured, where and when."""
    load = os.getloadavg()[0]
    how = "one core, CPU time, a busy machine" if given.busy else f"{len(os.sched_getaffinity(0))} cores, wall time"
    return (
        f"Last run {datetime.date.today()}: {cpu()}, {how}, load {load:.1f} before it began; {given.rounds} rounds, "
        f"{given.seconds:g} s a figure; {', '.join(peers.versions(given.cache))}. Ratios are mlkit / the best peer that trains: "
        "Keras on its three backends, and PyTorch written by hand, eager and, where it runs, through torch.compile; bold: the "
        "target in brackets is met. The floor is the FLOPs of a step's products and convolutions at the fastest rate "
        "measured in the same run. torch.compile begins with empty caches, and its first step includes the compilation."
    )


if __name__ == "__main__":
    sys.exit(main())
