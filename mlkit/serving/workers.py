"""Several processes of a server at one address: they are started, watched and replaced here, and each runs what `main` below does."""

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from mlkit.core.machine import usable_cores
from mlkit.core.state import state
from mlkit.serving.server import listening, serve

_SHORT = 10.0  # seconds: who ends sooner is started again after a while that doubles
_LONGEST = 30.0


class Workers:
    """`count` processes, each with a socket of its own at the address. The sockets stay open here, so that connections to a process that
    was killed wait for the one that takes its place.

    Args:
        settings: What a worker gets: models, and the settings of `App`.
    """

    def __init__(self, settings: dict[str, Any], host: str, port: int, count: int):
        if not hasattr(socket, "SO_REUSEPORT"):
            raise ValueError(
                "serve: --workers needs a system on which several processes can listen at one address (SO_REUSEPORT)."
            )
        self._sockets = [listening(host, port, shared=True)]
        self.port = self._sockets[0].getsockname()[1]
        self._sockets += [listening(host, self.port, shared=True) for _ in range(count - 1)]
        self._folder = tempfile.mkdtemp(prefix="mlkit-serve-")
        self._settings = {**settings, "metrics_folder": self._folder}
        self._threads = max(1, (state.backend.num_threads() or usable_cores()) // count)
        self._processes: list[subprocess.Popen[str] | None] = [None] * count
        self._begun, self._pause, self._due = [0.0] * count, [0.0] * count, [0.0] * count
        self._events: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def run(self, ready: Any) -> int:
        """Until SIGTERM or SIGINT: then the workers answer what is under way. The exit status. ready: called once all serve."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(("stop", 0)))
        serving: set[int] = set()
        announced, status = False, 0
        try:
            while True:
                now = time.monotonic()
                for i, process in enumerate(self._processes):
                    if process is None and now >= self._due[i]:
                        self._start(i)
                try:
                    what, i = self._events.get(timeout=0.5)
                except queue.Empty:
                    continue
                if what == "stop":
                    break
                if what == "ready":
                    serving.add(i)
                    if not announced and len(serving) == len(self._processes):
                        announced = True
                        ready()
                elif not announced:
                    status = 1  # it has said why
                    break
                else:
                    self._ended(i)
        finally:
            status = max(status, self._stop())
        return status

    def _start(self, i: int) -> None:
        process = self._processes[i] = subprocess.Popen(
            [sys.executable, "-c", "import sys; from mlkit.serving.workers import main; sys.exit(main())"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[self._sockets[i].fileno()],
            env={**os.environ, "OMP_NUM_THREADS": str(self._threads)},
        )
        self._begun[i] = time.monotonic()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which `_listen` tells
            process.stdin.write(json.dumps({**self._settings, "socket": self._sockets[i].fileno()}) + "\n")
            process.stdin.flush()
        threading.Thread(target=self._listen, args=(i, process), daemon=True).start()

    def _listen(self, i: int, process: subprocess.Popen[str]) -> None:
        """Tell the main thread what becomes of a worker."""
        assert process.stdout is not None
        for _ in process.stdout:  # it says one word
            self._events.put(("ready", i))
        process.wait()
        self._events.put(("ended", i))

    def _ended(self, i: int) -> None:
        """Have a worker that has ended replaced: at once, or after a while where it did not live long."""
        process = self._processes[i]
        assert process is not None
        lived = time.monotonic() - self._begun[i]
        self._pause[i] = 0.0 if lived > _SHORT else min(max(2 * self._pause[i], 0.5), _LONGEST)
        self._due[i] = time.monotonic() + (self._pause[i] if self._pause[i] > 0.5 else 0.0)
        self._processes[i] = None
        print(
            f"mlkit serve: worker {process.pid} has ended with {process.returncode}; another takes its place.", file=sys.stderr
        )

    def _stop(self) -> int:
        """End all workers; the exit status."""
        for sock in self._sockets:
            sock.close()
        left = [p for p in self._processes if p is not None]
        for number in (signal.SIGTERM, signal.SIGINT):  # whoever says it twice does not want to wait
            signal.signal(number, lambda *_: [process.kill() for process in left])
        for process in left:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in left:
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        return int(any(p.returncode != 0 for p in left))


def main() -> int:
    """A worker: its settings come as the first line of its input, whose end is the end of the process that started it."""
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sock = socket.socket(fileno=settings.pop("socket"))
    return serve(settings.pop("models"), settings, sock, lambda: print("ready", flush=True), is_one_of_several=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
