"""Ask a server over and over from a number of connections, and print what came: requests a second, latencies, statuses.

    python benchmarks/http_load.py PORT PATH BODY_FILE CONNECTIONS SECONDS [--health PATH] [--pause SECONDS]

Each connection asks again as soon as it has its answer. --health: another process asks there every 10 ms meanwhile. --pause: it waits so
long after a 503.
"""

import argparse
import asyncio
import collections
import concurrent.futures
import json
import pathlib
import time


class Connection(asyncio.Protocol):
    """Sends a request, reads the answer, sends the next.

    seen: gets (moment, seconds, status) of each answer. pause: seconds after an answer of each status, else 0.
    """

    def __init__(self, request, seen, pause):
        self.request, self.seen, self.pause = request, seen, pause
        self.buffer, self.length = b"", None

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        if not self.transport.is_closing():
            self.began = time.perf_counter()
            self.transport.write(self.request)

    def data_received(self, data):
        self.buffer += data
        if self.length is None:
            head, blank, rest = self.buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            self.status = int(head[9:12])
            lower = head.lower()
            at = lower.index(b"content-length:") + 15
            self.length, self.buffer = int(lower[at:].split(b"\r\n", 1)[0]), rest
        if len(self.buffer) >= self.length:
            now = time.perf_counter()
            self.seen.append((now, now - self.began, self.status))
            self.buffer, self.length = b"", None
            pause = self.pause.get(self.status)
            if pause:
                asyncio.get_running_loop().call_later(pause, self.ask)
            else:
                self.ask()


def request(path, body=None):
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body or b'')}\r\n\r\n"
    return head.encode() + (body or b"")


async def load(port, path, body, connections, seconds, pauses):
    """What `connections` saw in the last `seconds`, of which a fifth more came before and does not count."""
    loop, seen = asyncio.get_running_loop(), []
    open_ = [
        await loop.create_connection(lambda: Connection(request(path, body), seen, pauses), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds / 5)
    begin = time.perf_counter()
    await asyncio.sleep(seconds)
    end = time.perf_counter()
    for transport, _ in open_:
        transport.close()
    within = [one for one in seen if begin <= one[0] < end]
    good = sorted(taken for _, taken, status in within if status == 200)
    answered = sum(status == 200 for *_, status in seen)
    found = {"per_second": len(good) / (end - begin), "answered": answered, **latencies(good)}
    found["statuses"] = collections.Counter(status for *_, status in within)
    return found


def measure(*asked):
    return asyncio.run(load(*asked))


def latencies(taken):
    if not taken:
        return {"p50_ms": None, "p99_ms": None}
    return {"p50_ms": taken[len(taken) // 2] * 1e3, "p99_ms": taken[int(len(taken) * 0.99)] * 1e3}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in (("port", int), ("path", str), ("body", pathlib.Path), ("connections", int), ("seconds", float)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--health")
    parser.add_argument("--pause", type=float, default=0.0)
    given = parser.parse_args()
    asked = given.port, given.path, given.body.read_bytes(), given.connections, given.seconds, {503: given.pause}
    if given.health is None:
        found = measure(*asked)
    else:
        # in a process of its own: else it would wait for the other connections of this one too
        with concurrent.futures.ProcessPoolExecutor(1) as beside:
            health = beside.submit(measure, given.port, given.health, None, 1, given.seconds, {200: 0.01})
            found = {**measure(*asked), "health_p99_ms": health.result()["p99_ms"]}
    print(json.dumps(found))
