"""Time a whole fine-tuning job, from JPEG files to a trained network, with mlkit, Keras and hand-written PyTorch.

    python benchmarks/peers.py                        once: make the peers' environments
    python benchmarks/finetune_job.py                 run, print, and keep the figures in benchmarks/finetune_job.json
    python benchmarks/finetune_job.py --write         and write the table of docs/performance.md
    python benchmarks/finetune_job.py --rounds 0 --write      only write the table of what is kept

Every library does each job in processes of its own, one after the other, in `--rounds` rounds; medians count. Exit status 1 if
mlkit fails or misses a target.
"""

import argparse
import datetime
import os
import pathlib
import shlex
import statistics
import sys
import tempfile

import compare
import job_files
import peers
import processor
import report

RESULTS = pathlib.Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- fine-tuning job: written by benchmarks/finetune_job.py -->", "<!-- end of fine-tuning job -->"
JOBS = {"plain": [], "augmented": ["--augment"]}
TARGETS = {"Keras": 0.5, "PyTorch": 0.7}  # mlkit's time / the best of the columns' that start so
WHAT = f"""\
{job_files.COUNTS["train"]} JPEG photos of {job_files.PHOTO[1]} x {job_files.PHOTO[0]} pixels in two classes and \
{job_files.COUNTS["val"]} to validate with, brought to {job_files.SIZE} x {job_files.SIZE}; MobileNetV2 with the same weights \
everywhere; batches of 32; Adam; 5 epochs of a new head on the frozen network, then one of all layers, each with its validation. \
Seconds for all of it (of these the last epoch), without the import of the library, and the process's peak memory. Augmented: \
flips, rotations and zooms of the training photos. mlkit: `mlkit.finetune`, which computes the features of photos that do not \
change once. Keras: its own guide's script; with TensorFlow, decoded photos stay in memory (`cache`). PyTorch: a `Dataset` with \
Pillow, a `DataLoader` with as many workers as cores, channels_last, fused Adam."""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cache", default=peers.CACHE, help="folder of the peers' environments")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--timeout", type=float, default=900.0, help="seconds a process may take")
    options.add_argument("--launcher", default="", help='command in front of every measured process, such as "taskset -c 0,1"')
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = options.parse_args()
    return report.carry_out(given, RESULTS, run, lambda kept: table(kept["jobs"]), missed, WHAT, (BEGIN, END))


def missed(kept):
    """The targets that are missed, by name."""
    return [m for job, figures in kept["jobs"].items() for m in misses(job, figures)]


def libraries(cache):
    """Column -> (Python, script and arguments, environment), of those that are there."""
    found = {"mlkit": (sys.executable, ["measure_job_keras.py", "mlkit"], {})}
    # on JAX a step of this network takes minutes on two cores
    for name, backend in (("TensorFlow", "tensorflow"), ("torch", "torch")):
        command = ["measure_job_keras.py", "keras"]
        found[f"Keras on {name}"] = (peers.python_of(cache, backend), command, {"KERAS_BACKEND": backend})
    found["PyTorch"] = (peers.python_of(cache, "torch"), ["measure_job_torch.py"], {})
    return {name: library for name, library in found.items() if os.path.exists(library[0])}


def run(given):
    """Measure everything; what is kept of it."""
    chosen = libraries(given.cache)
    runs = {job: {name: [] for name in chosen} for job in JOBS}
    with tempfile.TemporaryDirectory() as folder:
        job_files.write_photos(folder)
        job_files.write_weights(folder)
        for _ in range(given.rounds):
            for job, arguments in JOBS.items():
                for name, (python, (script, *first), environment) in chosen.items():
                    script = str(pathlib.Path(__file__).with_name(script))
                    command = [*shlex.split(given.launcher), python, script, *first, folder, *arguments]
                    try:
                        figures = compare.process(command, environment, given.timeout)
                    except RuntimeError as error:
                        print(f"{job} {name}: {error}", flush=True)
                        continue
                    runs[job][name].append(figures)
                    print(f"{job} {name}: {figures}", flush=True)
    return {"about": about(given), "jobs": {job: {n: medians(r) for n, r in found.items() if r} for job, found in runs.items()}}


def medians(runs):
    return {field: statistics.median(r[field] for r in runs) for field in runs[0]}


def about(given):
    versions = ", ".join(peers.versions(given.cache))
    cores = len(os.sched_getaffinity(0))
    return (
        f"Last run {datetime.date.today()}: {processor.name()}, {cores} cores; median of {given.rounds} round(s); {versions}."
    )


def ratio(figures, start):
    """mlkit's time / the best one of the libraries whose names start so, or None."""
    times = [f["total_s"] for name, f in figures.items() if name.startswith(start)]
    return figures["mlkit"]["total_s"] / min(times) if times and "mlkit" in figures else None


def misses(job, figures):
    """What is missed of the targets, in words."""
    if "mlkit" not in figures:
        return [f"{job}: mlkit does not run"]
    ratios = {start: ratio(figures, start) for start in TARGETS}
    return [
        f"{job}: {r:.2f} of {start}'s > {TARGETS[start]}" for start, r in ratios.items() if r is not None and r > TARGETS[start]
    ]


def table(jobs):
    """Rows: jobs; cells: seconds and memory of the libraries, and mlkit's part of the others' time beside its target."""
    names = list(dict.fromkeys(name for figures in jobs.values() for name in figures))
    lines = [report.row("job", *names, *(f"mlkit / {start}" for start in TARGETS))]
    lines.append(report.row(*["---"] * (1 + len(names) + len(TARGETS))))
    for job, figures in jobs.items():
        cells = [
            f"{f['total_s']:.1f} ({f['all_s']:.1f}) s, {f['rss_mb']:.0f} MB" if (f := figures.get(name)) else "-"
            for name in names
        ]
        for start, target in TARGETS.items():
            found = ratio(figures, start)
            text = "?" if found is None else f"**{found:.2f}**" if found <= target else f"{found:.2f}"
            cells.append(f"{text} (≤ {target})")
        lines.append(report.row(job, *cells))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
