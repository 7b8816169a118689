"""What `mlkit serve` does over a long time: memory over a million requests, versions that change under load, workers that are killed.

    python benchmarks/serving_steady.py [--requests 1000000] [--reloads 100] [--kills 5] [--write]

A small MLP on two cores, asked by 16 connections that ask again at once. --write: also write the table of docs/performance.md. Exit status
1 if a target is missed.
"""

import argparse
import asyncio
import collections
import contextlib
import datetime
import os
import pathlib
import signal
import sys
import tempfile
import time

import http_load
import report
import serving

RESULTS = pathlib.Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- serving, long: written by benchmarks/serving_steady.py -->", "<!-- end of serving, long -->"
WHAT = """\
A small MLP (32-64-64-10), asked by 16 connections that ask again at once. Memory: what the server's process has in RAM after a tenth of \
the requests, and after all. Reloads: `serving.publish` of the next version as soon as the one before is served. Killed: with two workers, \
from `kill -9` of one to the first answer of the one in its place; requests lost: connections that were closed without an answer, of those \
that the killed one had at that time."""
CONNECTIONS = 16
PATH = "/v1/models/net:predict"


class Answers:
    """What connections have seen, counted: statuses, and an event once there are so many."""

    def __init__(self, wanted):
        self.statuses, self.wanted, self.enough = collections.Counter(), wanted, asyncio.Event()

    def append(self, seen):
        self.statuses[seen[2]] += 1
        if self.statuses.total() >= self.wanted:
            self.enough.set()


async def ask(port, body, count):
    """Statuses of at least so many requests."""
    answers = Answers(count)
    loop, request = asyncio.get_running_loop(), http_load.request(PATH, body)
    open_ = [
        await loop.create_connection(lambda: http_load.Connection(request, answers, {503: 0.1}), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await answers.enough.wait()
    for transport, _ in open_:
        transport.close()
    return answers.statuses


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def memory(folder, body, requests):
    """MB after each tenth of the requests, and statuses."""
    marks, statuses = [], collections.Counter()
    command = [sys.executable, "-m", "mlkit", "serve", f"net={folder}/mlp.keras", "--port"]
    with serving.serving(command, [], "/v2/health/ready") as server:
        for _ in range(10):
            statuses += asyncio.run(ask(server.port, body, requests // 10))
            marks.append(resident_mb(server.group))
            print(f"{statuses.total():,} requests: {marks[-1]:.2f} MB", flush=True)
    return marks, statuses


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        serving.write_models(folder)
        print(memory(folder, pathlib.Path(folder, "mlp.json").read_bytes(), int(sys.argv[1])))
