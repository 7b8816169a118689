"""What `mlkit serve` does over a long time: memory over a million requests, versions that change under load, workers that are killed.

    python benchmarks/serving_steady.py                            run, print, and keep the figures in benchmarks/serving_steady.json
    python benchmarks/serving_steady.py --parts reloads kills      measure only these, and keep the other figures as they are
    python benchmarks/serving_steady.py --write                    and write the table of docs/performance.md
    python benchmarks/serving_steady.py --parts --write            only write it

Exit status 1 if a target is missed. Needs Linux's /proc.
"""

import argparse
import asyncio
import collections
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import threading
import time

import http_load
import processor
import report
import serving

RESULTS = pathlib.Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- serving, long: written by benchmarks/serving_steady.py -->", "<!-- end of serving, long -->"
WHAT = """\
A small MLP (32-64-64-10), asked by 100 connections that ask again at once. Memory: what the server's process has in RAM after a tenth of \
the requests, and at most after that. Reloads: `mlkit.serving.publish` writes the next version as soon as the one before is served. \
Killed: two workers; from `kill -9` of one of them until the one in its place listens, with its model loaded, and its first answer comes; \
lost are the requests whose connections were closed, of all, where each connection of the killed one had one under way."""
CONNECTIONS = 100
PATH = "/v1/models/net:predict"
REQUESTS, RELOADS, KILLS = 1_000_000, 100, 5
GROWTH_MB, REPLACED_S = 2.0, 3.0  # targets


class Answers:
    """What connections have seen, counted: statuses, 0 for a connection that was closed instead; an event once there are so many."""

    def __init__(self, wanted=float("inf")):
        self.statuses, self.wanted, self.enough, self.open = collections.Counter(), wanted, asyncio.Event(), set()

    def append(self, seen):
        self.statuses[seen[2]] += 1
        if self.statuses.total() >= self.wanted:
            self.enough.set()


class Connection(http_load.Connection):
    """As there; when the server closes it, another takes its place."""

    def connection_lost(self, error):
        self.seen.open.discard(self.transport)
        if not self.seen.enough.is_set():
            self.seen.append((0, 0, 0))
            self.again = asyncio.ensure_future(connect(self.transport.get_extra_info("peername"), self.request, self.seen))


async def connect(address, request, answers):
    make = lambda: Connection(request, answers, {503: 0.1})
    transport, _ = await asyncio.get_running_loop().create_connection(make, *address[:2])
    answers.open.add(transport)


async def ask(port, body, answers):
    """Ask until there are enough answers."""
    for _ in range(CONNECTIONS):
        await connect(("127.0.0.1", port), http_load.request(PATH, body), answers)
    await answers.enough.wait()
    for transport in list(answers.open):
        transport.close()
    return answers.statuses


def asked(port, body, count):
    return asyncio.run(ask(port, body, Answers(count)))


class Load:
    """A block during which the server is asked; statuses are there behind it."""

    def __init__(self, port, body):
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(port, body)))

    async def _main(self, port, body):
        self._loop, self._answers = asyncio.get_running_loop(), Answers()
        self._begun.set()
        self.statuses = await ask(port, body, self._answers)

    def __enter__(self):
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._answers.enough.set)
        self._thread.join()


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def serve(what, *options):
    return serving.serving([sys.executable, "-m", "mlkit", "serve", f"net={what}", *options, "--port"], [], "/v2/health/ready")


def memory(folder, body):
    """MB after each tenth of the requests, and statuses."""
    marks, statuses = [], collections.Counter()
    with serve(f"{folder}/mlp.keras") as server:
        for _ in range(10):
            statuses += asked(server.port, body, REQUESTS // 10)
            marks.append(resident_mb(server.group))
            print(f"{statuses.total():,} requests: {marks[-1]:.2f} MB", flush=True)
    return {"mb": marks, "statuses": statuses}


def reloads(folder, body):
    """Statuses while versions change, and seconds from one to the next."""
    import mlkit

    model = mlkit.models.load_model(f"{folder}/mlp.keras", compile=False)
    versions = f"{folder}/versions"
    mlkit.serving.publish(model, versions)
    with serve(versions, "--watch", "0.1") as server, Load(server.port, body) as load:
        start = time.monotonic()
        for _ in range(RELOADS):
            number = mlkit.serving.publish(model, versions)
            while get(server.port, "/v2/models/net")["versions"] != [str(number)]:
                time.sleep(0.02)
        seconds = (time.monotonic() - start) / RELOADS
    return {"statuses": load.statuses, "seconds": seconds}


def kills(folder, body):
    """Seconds until a killed worker has been replaced, each; and statuses."""
    times = []
    with serve(f"{folder}/mlp.keras", "--workers", "2") as server, Load(server.port, body) as load:
        for _ in range(KILLS):
            time.sleep(11)  # one that has not lived ten seconds may be replaced later
            times.append(replaced(server))
            print(f"replaced after {times[-1]:.2f} s", flush=True)
        time.sleep(1)
    return {"seconds": times, "statuses": load.statuses}


def replaced(server):
    """Kill one of a server's workers; seconds until another in its place answers.

    Which worker a connection comes to is the system's choice, so ever more are held open until one is the new worker's.
    """
    before, held = children(server.group), []
    start = time.monotonic()
    os.kill(before[0], signal.SIGKILL)
    while True:
        held.append(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60))
        with contextlib.suppress(ConnectionError):  # one that the killed worker had accepted
            held[-1].request("GET", "/v2/health/live")
            held[-1].getresponse().read()
        if any(has_connections(pid) for pid in set(children(server.group)) - set(before)):
            seconds = time.monotonic() - start
            for connection in held:
                connection.close()
            return seconds
        time.sleep(0.02)


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_connections(pid):
    """Whether a worker has connections beside the socket at which it listens: it takes them once its model is loaded."""
    links = pathlib.Path(f"/proc/{pid}/fd")
    try:
        return sum(os.readlink(link).startswith("socket:") for link in links.iterdir()) > 4
    except OSError:
        return False  # it is only just beginning


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    with connection.getresponse() as reply:
        return json.loads(reply.read())


PARTS = {"memory": memory, "reloads": reloads, "kills": kills}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = options.parse_args()
    given.rounds = len(given.parts)
    return report.carry_out(given, RESULTS, run, table, missed, WHAT, (BEGIN, END))


def run(given):
    """Measure the parts that are asked for; what is kept of them and of the others."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        serving.write_model(folder, "mlp")
        body = pathlib.Path(folder, "mlp.json").read_bytes()
        for part in given.parts:
            load = os.getloadavg()[0]
            found = PARTS[part](folder, body)
            about = f"{datetime.date.today()}, {processor.name()}, {len(os.sched_getaffinity(0))} cores, load {load:.1f} before it began"
            kept[part] = {**found, "about": about}
    kept["about"] = "\n".join(["Runs:", "", *(f"- {part}: {kept[part]['about']}" for part in PARTS if part in kept)])
    return json.loads(json.dumps(kept))


def rows(kept):
    """(what, found, target, whether it is met) each."""
    found = []
    if (part := kept.get("memory")) is not None:
        mb, requests = part["mb"], sum(part["statuses"].values())
        grown = max(mb) - mb[0]
        words = f"{mb[0]:.2f} MB after {requests // 10:,}, {max(mb):.2f} MB at most after that: {grown:+.2f} MB"
        found.append((f"memory over {requests:,} requests", words, f"≤ {GROWTH_MB} MB", grown <= GROWTH_MB))
    if (part := kept.get("reloads")) is not None:
        others = {k: n for k, n in part["statuses"].items() if k != "200"}
        words = f"{sum(part['statuses'].values()):,} requests, failed: {others or 'none'}; {part['seconds']:.2f} s a version"
        found.append((f"{RELOADS} reloads under load", words, "none", not others))
    if (part := kept.get("kills")) is not None:
        median, longest = statistics.median(part["seconds"]), max(part["seconds"])
        words = f"{median:.2f} s, {longest:.2f} s the longest of {len(part['seconds'])}"
        found.append(("`kill -9` of a worker: another answers after", words, f"≤ {REPLACED_S} s", longest <= REPLACED_S))
        lost, others = part["statuses"].get("0", 0), set(part["statuses"]) - {"0", "200"}
        most = len(part["seconds"]) * CONNECTIONS
        words = f"{lost} of {sum(part['statuses'].values()):,} requests; other statuses than 200: {', '.join(sorted(others)) or 'none'}"
        found.append(("lost with it", words, "its own", lost < most and not others))
    return found


def table(kept):
    lines = ["| what | found | target |", "| --- | --- | --- |"]
    return "\n".join(
        [*lines, *(report.row(what, f"**{words}**" if met else words, target) for what, words, target, met in rows(kept))]
    )


def missed(kept):
    """The targets that are missed, by name."""
    return [row[0] for row in rows(kept) if not row[-1]]


if __name__ == "__main__":
    sys.exit(main())
