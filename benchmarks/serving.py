"""Requests a second and latencies of `mlkit serve`, beside LitServe and beside the model called in the handler.

    python benchmarks/peers.py --serving              once: make LitServe's environment
    python benchmarks/serving.py                      run, print, and keep the figures in benchmarks/serving.json
    python benchmarks/serving.py --write              and write the table of docs/performance.md
    python benchmarks/serving.py --parts overload     measure only that, and keep the other figures as they are
    python benchmarks/serving.py --rounds 0 --write   only write the table of what is kept

All servers get the same model and the same bodies from the same client (`http_load.py`), one server at a time, in `--rounds` rounds;
medians count. LitServe runs with batches of one and of 32 (2 ms), and the better figure counts. Threads of OpenMP sleep while they
wait, everywhere: with spinning ones LitServe's worker and the client keep each other from the cores. Exit status 1 if a target is missed.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import peers
import processor
import report

HERE = pathlib.Path(__file__).parent
RESULTS = pathlib.Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- serving: written by benchmarks/serving.py -->", "<!-- end of serving -->"
WHAT = """\
A small MLP (32-64-64-10) and MobileNetV2 at 96 x 96 (random weights), one row a request as JSON (0.7 and 145 KB), client and \
server on the same cores. LitServe: the better of batches of one and of 32. Inline: `predict_on_batch` called in the handler of a \
bare ASGI application on the same uvicorn. Overload: five times the connections of 64, with `--max-queue 64`; one that hears 503 \
asks again after 1 s, as Retry-After says. Requests in a second of the processor are those answered by what all processes of the \
server used: on a busy machine they say more than requests a second, since a server of several processes gets more of it."""
NAMES = {"mlp": "MLP", "mobilenetv2": "MobileNetV2"}
CONNECTIONS = {"mlp": (16, 64), "mobilenetv2": (16,)}  # of LitServe; inline has one, mlkit each of them
PARTS = (*CONNECTIONS, "overload")
TARGETS = [  # (what, model, connections, figure, against, at most or at least, target)
    ("requests/s at 16, MLP", "mlp", 16, "per_second", "litserve", ">=", 4.0),
    ("requests/s at 64, MLP", "mlp", 64, "per_second", "litserve", ">=", 2.5),
    ("requests/s at 16, MobileNetV2", "mobilenetv2", 16, "per_second", "litserve", ">=", 1.3),
    ("requests in a second of the processor at 16, MLP", "mlp", 16, "per_cpu_second", "litserve", ">=", 4.0),
    ("the same at 64, MLP", "mlp", 64, "per_cpu_second", "litserve", ">=", 2.5),
    ("the same at 16, MobileNetV2", "mobilenetv2", 16, "per_cpu_second", "litserve", ">=", 1.3),
    ("p99 at 16, MLP", "mlp", 16, "p99_ms", "litserve", "<=", 0.3),
    ("p99 at 16, MobileNetV2", "mobilenetv2", 16, "p99_ms", "litserve", "<=", 0.3),
    ("p50 at 1, MLP", "mlp", 1, "p50_ms", "inline", "<=", 1.15),
    ("p50 at 1, MobileNetV2", "mobilenetv2", 1, "p50_ms", "inline", "<=", 1.15),
]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cache", default=peers.CACHE, help="folder of the peers' environments")
    options.add_argument("--litserve", help="Python of LitServe's environment, where it is elsewhere")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    options.add_argument("--overload-seconds", type=float, default=60.0)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = options.parse_args()
    return report.carry_out(given, RESULTS, run, table, missed, WHAT, (BEGIN, END))


def missed(kept):
    """The targets that are missed, by name."""
    return [row[0] for row in rows(kept) if not row[-1]]


def run(given):
    """Measure the parts that are asked for; what is kept of them and of the others."""
    load = os.getloadavg()[0]
    litserve = given.litserve or peers.python_of(given.cache, "litserve")
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": {}, "figures": {}, "overload": {}}
    about = (
        f"{datetime.date.today()}, {processor.name()}, {len(os.sched_getaffinity(0))} cores, load {load:.1f} before it began; "
        f"median of {given.rounds} round(s) of {given.seconds:g} s, overload {given.overload_seconds:g} s; {version(litserve)}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for part in given.parts:
            kept["runs"][part] = about
            if part == "overload":
                for model in CONNECTIONS:
                    write_model(folder, model)
                    kept["overload"][model] = overloaded(folder, model, given)
            else:
                write_model(folder, part)
                kept["figures"] |= compared(folder, part, given, litserve)
    kept["about"] = "\n".join(["Runs:", "", *(f"- {part}: {text}" for part, text in kept["runs"].items())])
    return kept


def compared(folder, model, given, litserve):
    """ "MODEL SERVER CONNECTIONS" -> medians over the rounds."""
    file, runs = f"{folder}/{model}.keras", {}
    own = [sys.executable, "-m", "mlkit", "serve", f"net={file}", "--port"]
    servers = {
        "mlkit": (own, [], "/v1/models/net:predict", (1, *CONNECTIONS[model])),
        "inline": ([sys.executable, str(HERE / "serve_inline.py"), file], [], "/", (1,)),
        **{
            f"litserve {size}": ([litserve, str(HERE / "serve_litserve.py"), file], [str(size)], "/predict", CONNECTIONS[model])
            for size in (1, 32)
        },
    }
    for _ in range(given.rounds):
        for name, (before, after, path, connections) in servers.items():
            with serving(before, after, "/v2/health/ready" if name == "mlkit" else "/health") as server:
                for n in connections:
                    found = server.ask(path, f"{folder}/{model}.json", n, given.seconds)
                    print(model, name, n, found, flush=True)
                    runs.setdefault(f"{model} {name} {n}", []).append(found)
    figures = ("per_second", "per_cpu_second", "p50_ms", "p99_ms")
    return {key: {k: median([r[k] for r in found]) for k in figures} for key, found in runs.items()}


def overloaded(folder, model, given):
    """p99 at capacity, then with five times as many connections, and what else was heard."""
    command = [sys.executable, "-m", "mlkit", "serve", f"net={folder}/{model}.keras", "--max-queue", "64", "--port"]
    path, body = "/v1/models/net:predict", f"{folder}/{model}.json"
    with serving(command, [], "/v2/health/ready") as server:
        at_capacity = server.ask(path, body, 64, given.seconds)
        beyond = server.ask(path, body, 320, given.overload_seconds, "--health", "/v2/health/live", "--pause", "1")
    print(model, "overload", at_capacity, beyond, flush=True)
    return {"capacity": at_capacity, "beyond": beyond}


class Server:
    """A server that runs: its port, and the number of its process group."""

    def __init__(self, port, group):
        self.port, self.group = port, group

    def cpu_seconds(self):
        """What all its processes have used."""
        total = 0
        for file in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # one that has ended
                fields = file.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.group:
                    total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def ask(self, path, body, connections, seconds, *more):
        """What `http_load.py` saw, with the requests answered in a second of the processor's."""
        used = self.cpu_seconds()
        command = [
            sys.executable,
            str(HERE / "http_load.py"),
            str(self.port),
            path,
            body,
            str(connections),
            str(seconds),
            *more,
        ]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return {**found, "per_cpu_second": found["answered"] / max(self.cpu_seconds() - used, 1e-9)}


@contextlib.contextmanager
def serving(before, after, health):
    """A Server; its whole process group ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen([*before, str(port), *after], process_group=0, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 600  # a busy machine
        while not answers(port, health):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server did not start: {' '.join(before)}")
            time.sleep(0.1)
        yield Server(port, process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(port, health):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def write_model(folder, name):
    """A model as a file, and a body to ask it."""
    import numpy as np

    import mlkit
    from mlkit import layers

    mlkit.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    if name == "mlp":
        dense = [
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
        model, x = mlkit.Sequential([mlkit.Input((32,)), *dense]), rng.random((1, 32)).round(4)
    else:
        model, x = mlkit.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3)), rng.integers(0, 256, (1, 96, 96, 3))
    model.save(f"{folder}/{name}.keras")
    pathlib.Path(folder, f"{name}.json").write_text(json.dumps({"instances": x.tolist()}))


def version(python):
    code = "import importlib.metadata as m; print('LitServe', m.version('litserve'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def median(values):
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def rows(kept):
    """(what, ours, theirs, ratio, target in words, whether it is met) each."""
    figures, found = kept["figures"], []
    for what, model, n, figure, against, sign, target in TARGETS:
        ours = figures[f"{model} mlkit {n}"][figure]
        others = [
            f[figure]
            for key, f in figures.items()
            if key.startswith(f"{model} {against}") and key.endswith(f" {n}") and f[figure]
        ]
        theirs = max(others) if sign == ">=" else min(others)
        ratio = ours / theirs
        met = ratio >= target if sign == ">=" else ratio <= target
        found.append(
            (
                f"{what}, mlkit / {against}",
                f"{ours:.3g}",
                f"{theirs:.3g}",
                ratio,
                f"{'≥' if sign == '>=' else '≤'} {target}",
                met,
            )
        )
    for model, load in kept["overload"].items():
        ours, at = load["beyond"]["p99_ms"], load["capacity"]["p99_ms"]
        name = NAMES[model]
        found.append((f"p99 at 320 connections / at 64, {name}", f"{ours:.3g}", f"{at:.3g}", ours / at, "≤ 2", ours <= 2 * at))
        health, others = load["beyond"]["health_p99_ms"], set(load["beyond"]["statuses"]) - {"200", "503"}
        found.append((f"health p99 meanwhile, ms, {name}", f"{health:.3g}", "", health, "≤ 50", health <= 50))
        words = ", ".join(sorted(others)) or "none"
        found.append((f"other statuses than 200 and 503, {name}", words, "", len(others), "0", not others))
    return found


def table(kept):
    lines = ["| what | mlkit | against | ratio |", "| --- | --- | --- | --- |"]
    for what, ours, theirs, ratio, target, met in rows(kept):
        shown = f"**{ratio:.2f}**" if met else f"{ratio:.2f}"
        lines.append(f"| {what} | {ours} | {theirs} | {shown} ({target}) |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
