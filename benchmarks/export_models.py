"""How long it takes to export networks, and how fast their files run, against PyTorch's and Keras's own exporters.

    python benchmarks/peers.py --export               once: make the environments
    python benchmarks/export_models.py [--write]      measure, print and keep; --write: also write the table of docs/performance.md

Each export is the first in a process of its own; the libraries take turns, and medians count. Files run in turns in one process, with
as many threads as cores. Exit status 1 if a target is missed.
"""

import argparse
import datetime
import os
import pathlib
import statistics
import sys
import tempfile

import compare
import peers
import processor
import report

HERE = pathlib.Path(__file__).parent
RESULTS = pathlib.Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- export: written by benchmarks/export_models.py -->", "<!-- end of export -->"
NETS = ("InceptionV3", "MobileNetV2")
LIBRARIES = ("mlkit", "torch", "keras")
EXPORT, LATENCY = 0.5, 1.03  # targets: ours / theirs
WHAT = """\
InceptionV3 and MobileNetV2 with random weights and a batch of any size. Export to ONNX: `model.export("net.onnx")`, which runs the \
file and compares it with `predict`, against `torch.onnx.export` of torchvision's networks, which does not; the first of a process, and \
the second. Latency: one photo, in turns in one process, in ONNX Runtime against PyTorch's file, and in LiteRT against what \
TensorFlow's converter makes of Keras's network; of each the time that a tenth of the calls stay below."""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cache", default=peers.CACHE, help="folder of the peers' environments")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=10.0, help="of each pair of files")
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = options.parse_args()
    return report.carry_out(given, RESULTS, run, lambda kept: table(kept["nets"]), missed, WHAT, (BEGIN, END))


def missed(kept):
    """The targets that are missed, by name."""
    return [cells[0] for cells, met in rows(kept["nets"]) if not met]


def run(given):
    """Measure everything; what is kept of it."""
    load = os.getloadavg()[0]
    found = {}
    for net in NETS:
        with tempfile.TemporaryDirectory() as folder:
            runs = {library: [] for library in LIBRARIES}
            for k in range(given.rounds):
                for library in LIBRARIES if k == 0 else LIBRARIES[:2]:  # what Keras takes is not compared
                    runs[library].append(one(given, library, net, folder))
                    print(net, library, runs[library][-1], flush=True)
            latency = [one(given, "latency", net, folder, str(given.seconds)) for _ in range(given.rounds)]
            print(net, latency, flush=True)
        found[net] = {
            "export": {n: {f: statistics.median(r[f] for r in all_) for f in all_[0]} for n, all_ in runs.items()},
            "latency": {k: {f: statistics.median(r[k][f] for r in latency) for f in v} for k, v in latency[0].items()},
        }
    about = (
        f"Last run {datetime.date.today()}: {processor.name()}, {len(os.sched_getaffinity(0))} cores, load {load:.1f} before it began; "
        f"median of {given.rounds} round(s); {', '.join(peers.versions(given.cache, peers.EXPORT))}."
    )
    return {"about": about, "nets": found}


def one(given, what, net, folder, *more):
    """What `export_one.py` finds, in the environment that the part needs."""
    name = {"torch": "torch", "keras": "tensorflow"}.get(what, "mlkit")
    command = [peers.python_of(given.cache, f"export-{name}"), str(HERE / "export_one.py"), what, net, folder, *more]
    return compare.process(command, {"PYTHONPATH": str(HERE.parent)}, 900)


def rows(nets):
    """(cells, whether the target is met) each."""
    found = []
    for net, figures in nets.items():
        own, other = figures["export"]["mlkit"], figures["export"]["torch"]
        for what, field in (("export to ONNX", "seconds"), ("the same, the second time", "again")):
            ratio = own[field] / other[field]
            cells = f"{what}, {net}", f"{own[field]:.2f} s", f"torch.onnx.export {other[field]:.2f} s", ratio, f"≤ {EXPORT}"
            found.append((cells, ratio <= EXPORT))
        for kind, words, whose in (("onnx", "ONNX Runtime", "PyTorch's"), ("tflite", "LiteRT", "Keras's")):
            if (f := figures["latency"].get(kind)) is not None:
                cells = (
                    f"a photo in {words}, {net}",
                    f"{f['own_ms']:.2f} ms",
                    f"{whose} file {f['other_ms']:.2f} ms",
                    f["ratio"],
                    f"≤ {LATENCY}",
                )
                found.append((cells, f["ratio"] <= LATENCY))
    return found


def table(nets):
    lines = ["| what | mlkit | against | ratio |", "| --- | --- | --- | --- |"]
    for (what, own, other, ratio, target), met in rows(nets):
        lines.append(f"| {what} | {own} | {other} | {f'**{ratio:.2f}**' if met else f'{ratio:.2f}'} ({target}) |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
