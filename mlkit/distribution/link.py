"""Links: connections from the parents of ranks to the launcher, where ranks run on several hosts.

A link brings how a rank has ended, with the files that its host keeps. And it beats: a host that is not heard of is cut off, or down,
and all others are stopped; one that does not hear the launcher stops its own ranks. Imports nothing of mlkit, as `supervisor`.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time

VARIABLE = "MLKIT_LINK"  # address, port, secret and seconds, for the parents of ranks
_BEAT = 0.25  # of the limit
_LEAST_START = 120.0  # seconds that ranks have to begin, at least
_LAST_BYTES = 8192  # of a log


class Link:
    """A rank's side.

    on_end: called once, with a text, when the launcher says that all is to end, or is not heard of.
    """

    def __init__(self, variable, report, on_end):
        address, port, secret, limit = variable.split(" ")
        self._limit, self._on_end = float(limit), on_end
        self._socket = socket.create_connection((address, int(port)), timeout=max(self._limit, _LEAST_START))
        self._socket.settimeout(self._limit)
        self._lock = threading.Lock()
        self._closed = False
        self.tell({"secret": secret, **report})
        threading.Thread(target=self._beat, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, report):
        """Send a report, a dict; what cannot be sent is nobody's to have."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(report).encode() + b"\n")

    def close(self, report):
        """Send a last report; no word from the launcher is waited for any more."""
        self._closed = True
        self.tell(report)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _beat(self):
        while not self._closed:
            self.tell({})
            time.sleep(self._limit * _BEAT)

    def _listen(self):
        try:
            while (piece := self._socket.recv(4096)) and b"end" not in piece:
                pass
            why = None if piece else "the launcher has ended"
        except OSError:  # of which a timeout is one
            why = f"the launcher has not been heard of for {self._limit:g} s"
        if not self._closed:
            self._on_end(why)


def meet(variable, rank, value):
    """The plain values that all ranks bring, in their order: by way of the launcher, where it is not known yet who can talk to whom."""
    address, port, secret, limit = variable.split(" ")
    with socket.create_connection((address, int(port)), timeout=max(float(limit), _LEAST_START)) as connection:
        connection.sendall(json.dumps({"secret": secret, "rank": rank, "value": value}).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return json.loads(lines.readline())


def last_of(path):
    """The end of a text file."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _LAST_BYTES))
        return file.read().decode(errors="replace")


class Exchange:
    """The launcher's side: keeps what links report in its folder, and knows which hosts are silent.

    address: where hosts reach it; folder: for what ranks leave; ranks: host of each rank; limit: seconds of silence that are borne.
    """

    def __init__(self, address, folder, ranks, limit):
        self._folder, self._ranks, self._limit = folder, ranks, limit
        self._server = socket.create_server((address, 0))
        self._lock = threading.Lock()
        self._secret = secrets.token_hex(16)
        self.variable = f"{address} {self._server.getsockname()[1]} {self._secret} {limit:g}"
        self._heard, self._links = {}, {}  # of ranks that have begun and not ended
        self._begun, self._start = set(), time.monotonic()
        self._met = {}  # rank -> what it brings to a meeting, and its connection
        threading.Thread(target=self._accept, daemon=True).start()

    def silent(self):
        """Text about hosts that are not heard of, "" if there are none."""
        now = time.monotonic()
        late = sorted(r for r, heard in list(self._heard.items()) if now - heard > self._limit)
        if late:
            what = f"not been heard of for {self._limit:g} s: the network to it is cut, or it is down"
        elif now - self._start > max(self._limit, _LEAST_START):
            late = [r for r in range(len(self._ranks)) if r not in self._begun]
            what = f"not begun after {now - self._start:.0f} s: is it up, and does `ssh HOST true` work without a password?"
        return "; ".join(f"{self._named(host, late)} has {what}" for host in dict.fromkeys(self._ranks[r] for r in late))

    def end(self):
        """Tell all ranks that can be reached to end."""
        for link in list(self._links.values()):
            with contextlib.suppress(OSError):
                link.settimeout(0.1)
                link.sendall(b"end\n")

    def close(self):
        self._server.close()
        for link in list(self._links.values()):
            link.close()

    def _named(self, host, ranks):
        own = [str(r) for r in ranks if self._ranks[r] == host]
        return f"host {host} (rank{'s' if len(own) > 1 else ''} {', '.join(own)})"

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as lines:
            first = json.loads(lines.readline(1 << 16))
            if not secrets.compare_digest(str(first.get("secret")), self._secret):
                return
            rank = first["rank"]
            if "value" in first:
                self._meeting(rank, first["value"], connection)
                lines.readline()  # until the rank has what it waits for
                return
            self._links[rank], self._heard[rank] = connection, time.monotonic()
            self._begun.add(rank)
            for line in lines:
                self._heard[rank] = time.monotonic()
                report = json.loads(line)
                for name, text in report.pop("files", {}).items():
                    self._keep(os.path.basename(name), text)
                if "code" in report:
                    self._keep(f"rank-{rank}.json", json.dumps(report))
                    break
                connection.sendall(b"\n")  # the other side waits for us too
            del self._heard[rank], self._links[rank]  # not where the network broke: then its host will be silent

    def _meeting(self, rank, value, connection):
        with self._lock:
            self._met[rank] = value, connection
            if len(self._met) < len(self._ranks):
                return
            met, self._met = self._met, {}
        every = json.dumps([met[r][0] for r in range(len(self._ranks))]).encode() + b"\n"
        for _, other in met.values():
            with contextlib.suppress(OSError):
                other.sendall(every)

    def _keep(self, name, text):
        path = os.path.join(self._folder, name)
        if not os.path.exists(path):  # hosts that share the folder have written it themselves
            with open(path + ".part", "w") as file:
                file.write(text)
            os.replace(path + ".part", path)
