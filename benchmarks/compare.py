"""Compare mlkit with Keras on its three backends, hand-written PyTorch, eager and compiled, and, for inference, ONNX Runtime.

    python benchmarks/peers.py                        once: make the peers' environments
    python benchmarks/compare.py [WORKLOAD ...]       run, print, and keep the figures in benchmarks/results.json
    python benchmarks/compare.py --write ...          and write the tables of docs/performance.md
    python benchmarks/compare.py --write --rounds 0   only write the tables of what is kept
    python benchmarks/compare.py --short ...          one round of 1 s a figure, without torch.compile and half floats
    python benchmarks/compare.py --avx2 ...           as on a processor without AVX-512, which has tables of its own

Every library runs each workload in processes of its own, one after the other, in `--rounds` rounds, so that what else the
machine does meets all alike. A figure is a median within a process; of the rounds the best counts. The machine's peak is
measured in the same run. With `--libraries` the others keep their figures, if they are of the same processor, and a ratio of
figures of two runs is marked. torch.compile needs a C++ compiler and takes minutes. ONNX Runtime has no setting that keeps it from
AVX-512. Exit status 1 if mlkit fails or misses a target.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

import peers
import processor
import report

RESULTS = pathlib.Path(__file__).with_name("results.json")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(report.TARGETS))
    options.add_argument("--cache", default=peers.CACHE, help="folder of the peers' environments")
    options.add_argument("--rounds", type=int, help="3 if not given, 1 with --short")
    options.add_argument("--seconds", type=float, help="time for each figure: 3 if not given, 1 with --short")
    options.add_argument("--short", action="store_true", help="one round of 1 s a figure, of the libraries that start quickly")
    options.add_argument("--timeout", type=float, default=900.0, help="seconds a process may take")
    options.add_argument("--libraries", nargs="*", help="only these; the others keep their figures")
    options.add_argument("--busy", action="store_true", help="one core and CPU time, for a machine that others use too")
    processor.add_option(options)
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = options.parse_args()
    given.rounds = (1 if given.short else 3) if given.rounds is None else given.rounds
    given.seconds = given.seconds or (1.0 if given.short else 3.0)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept = results.setdefault(given.kind, {"about": "", "workloads": {}})
    if given.rounds:
        run(given, kept, results)
    if given.write:
        report.write_page(results)
    shown = {w: kept["workloads"][w] for w in given.workloads or report.TARGETS if w in kept["workloads"]}
    print(f"\n{report.ratio_table(shown)}\n\n{report.time_table(shown)}")
    missed = [m for w, r in shown.items() for m in report.missed(w, r["libraries"])]
    print("\nmissed: " + ("; ".join(missed) or "nothing"))
    return bool(missed or any("mlkit" in r["failed"] for r in shown.values()))


def chosen(given):
    """The libraries to measure."""
    left_out = {report.COMPILED, report.IN_HALF} if given.short else set()
    if given.kind == processor.AVX2:
        left_out |= {report.IN_HALF, *peers.INFERENCE_ONLY}  # without AVX-512 no products of half floats; see above
    found = peers.libraries(given.cache)
    return [lib for lib in found if (lib.name in given.libraries if given.libraries else lib.name not in left_out)]


def run(given, kept, results):
    """Measure the workloads and put them among the kept results, one after the other."""
    libraries, settings = chosen(given), processor.SETTINGS[given.kind]
    if given.busy:
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])  # the processes started below keep to it
        os.environ["BENCHMARK_CLOCK"] = "cpu"
    kept["about"] = about(given)
    print(kept["about"], flush=True)
    for workload in given.workloads or report.TARGETS:
        found, failed, peaks = {}, {}, []
        begun = datetime.datetime.now().isoformat(timespec="minutes")
        for _ in range(given.rounds):
            peaks += peak(settings, given.timeout)
            for lib in libraries:
                if (workload, lib.name) in peers.TOO_SLOW or lib.name in failed:
                    continue
                try:
                    result = process(lib.command(workload, given.seconds), {**lib.environment, **settings}, given.timeout)
                except RuntimeError as error:
                    failed[lib.name] = str(error)
                    print(f"{workload} {lib.name}: {error}", flush=True)
                    continue
                old = found.setdefault(lib.name, result)
                found[lib.name] = {**old, **{k: min(v, old.get(k, v)) for k, v in result.items()}, "run": begun}
        for name, figures in found.items():
            print(f"{workload:14}{name:18}" + "".join(f"{k} {figures[k]:<12.4g}" for k in report.COLUMNS if k in figures))
        old = kept["workloads"].get(workload, {})
        if old.get("processor") != processor.name() or not (given.libraries or given.short):
            old = {}
        kept["workloads"][workload] = dict(
            date=datetime.date.today().isoformat(),
            processor=processor.name(),
            gflops=max(peaks, default=None),
            libraries={**old.get("libraries", {}), **found},
            failed={**{k: v for k, v in old.get("failed", {}).items() if k not in found}, **failed},
        )
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


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


def peak(settings, timeout):
    """GFLOP/s of mlkit's fastest large product or convolution, in a list; an empty one if mlkit does not run."""
    code = "from mlkit.compiler.roofline import measure_peaks; from timing import clock; print(measure_peaks(clock=clock).flops / 1e9)"
    path = os.pathsep.join([str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    try:
        return [process([sys.executable, "-c", code], {**settings, "PYTHONPATH": path}, timeout)]
    except RuntimeError as error:
        print(f"peak: {error}", flush=True)
        return []


def about(given):
    """One paragraph on what was measured, where and when."""
    how = "one core, CPU time, a busy machine" if given.busy else "wall time"
    return (
        f"Last run {processor.about(given.kind)}; {how}; {given.rounds} rounds, {given.seconds:g} s a figure; "
        f"{', '.join(peers.versions(given.cache))}. Ratios are mlkit / the best peer that trains: "
        "Keras on its three backends, and PyTorch written by hand, eager and, where it runs, through torch.compile; bold: the "
        "target in brackets is met. The floor is the FLOPs of a step's products and convolutions at the fastest rate "
        "measured in the same run. torch.compile begins with empty caches, and its first step includes the compilation."
    )


if __name__ == "__main__":
    sys.exit(main())
