"""The models of a server: which versions are there, which is served, and what happens when files change or memory runs out."""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from mlkit.serving.contract import RequestError
from mlkit.serving.metrics import Metrics
from mlkit.serving.sources import Source, sources_in
from mlkit.serving.version import Version

log = logging.getLogger("mlkit.serving")
AVAILABLE, LOADING, END = "AVAILABLE", "LOADING", "END"  # TensorFlow Serving's words


class Entry:
    """A model by name. current: the version that is served, or None; states: version -> (state, message) of all that were seen."""

    def __init__(self, name: str, source: Source):
        self.name, self.source = name, source
        self.current: Version | None = None
        self.states: dict[int, tuple[str, str]] = {}
        self.broken: dict[int, Any] = {}  # version -> what its files were like when it failed
        self.seen: Any = None  # what the files of the current version were like
        self.used = 0.0
        self.is_out = False  # put out for want of memory; loaded again when it is asked for
        self.waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @property
    def is_ready(self) -> bool:
        return self.current is not None or self.is_out

    def message(self) -> str:
        """Why nothing is served."""
        wrong = [f"version {n}: {text}" for n, (_, text) in sorted(self.states.items()) if text]
        return "; ".join(wrong) or "it is being loaded"


class Store:
    """Loads models in the background: one thread looks at folders and changes what is served; each version has a thread of its own.

    Args:
        sources: Name -> Source.
        folder: Folder of folders of versions, each a model by its name; new ones are found.
        memory_limit: Bytes that models may take together, or None. Beyond it those asked for least recently are put out.
        max_batch_size, max_queue: See `Version`.
        watch_seconds: Between two looks at the folders.
        metrics: Where loads are counted.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        folder: str | None,
        memory_limit: int | None,
        max_batch_size: int,
        max_queue: int,
        watch_seconds: float,
        metrics: Metrics,
    ):
        self.entries = {name: Entry(name, source) for name, source in sources.items()}
        self.folder, self.memory_limit, self.watch_seconds = folder, memory_limit, watch_seconds
        self.metrics = metrics
        self._sizes = max_batch_size, max_queue
        self._wanted: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()  # entries to load again; None: the end
        self._thread: threading.Thread | None = None
        self._retired: list[Version] = []
        self._is_ending = False
        self.settled = threading.Event()  # every model has been looked at once

    def start(self) -> None:
        """Begin to load and to watch; nothing where that has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="mlkit-store", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Answer what waits, then let all models go. Whether that came to its end in so many seconds."""
        if self._thread is None:
            return True
        until = time.monotonic() + timeout
        self._is_ending = True
        self._wanted.put(None)
        self._thread.join(timeout)
        for entry in self.entries.values():
            if entry.current is not None:
                entry.current.retire()
                self._retired.append(entry.current)
        ended = [v.join(max(0.0, until - time.monotonic())) for v in self._retired]  # all are waited for
        return all(ended)

    # ---- what requests ask --------------------------------------------------------------------------------------------

    def entry(self, name: str) -> Entry:
        found = self.entries.get(name)
        if found is None:
            raise RequestError(
                404, f"there is no model {name!r}; there are {', '.join(map(repr, sorted(self.entries))) or 'none'}."
            )
        return found

    async def version(self, name: str, number: str | None, deadline: float) -> Version:
        """The version to ask; waits for one that was put out.

        Raises:
            RequestError: There is no such model or version, or it is not ready.
        """
        entry = self.entry(name)
        if self._is_ending:
            raise RequestError(503, "the server is ending.", retry_after=1)
        entry.used = time.monotonic()
        if entry.current is None and entry.is_out:
            await self._again(entry, deadline)
        version = entry.current
        if version is None:
            raise RequestError(503, f"model {name!r} is not ready: {entry.message()}.", retry_after=1)
        if number is not None and number != str(version.number):
            raise RequestError(404, f"model {name!r} has no version {number!r} that is served; there is {version.number}.")
        return version

    async def _again(self, entry: Entry, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        entry.waiters.append((loop, future))
        self._wanted.put(entry)
        try:
            await asyncio.wait_for(future, max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise RequestError(503, f"model {entry.name!r} is being loaded.", retry_after=1) from None

    @property
    def is_ready(self) -> bool:
        return all(entry.is_ready for entry in self.entries.values()) and self.settled.is_set()

    def failures(self) -> list[str]:
        """What is wrong with models of which no version is served."""
        return [f"model {e.name!r}: {e.message()}" for e in self.entries.values() if not e.is_ready]

    def fatal(self) -> list[str]:
        """What is wrong with models that will not get better: those whose files are not watched."""
        return [f"model {e.name!r}: {e.message()}" for e in self.entries.values() if not e.is_ready and not e.source.is_watched]

    # ---- in the thread ----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        for entry in list(self.entries.values()):
            self._look(entry)
        self._look_around()
        self.settled.set()
        while True:
            try:
                entry = self._wanted.get(timeout=self.watch_seconds)
            except queue.Empty:
                self._look_around()
                continue
            if entry is None:
                return
            if entry.is_out:
                self._look(entry)
            _wake(entry)

    def _look_around(self) -> None:
        """At all folders."""
        try:
            self._find_models()
        except OSError as error:  # a folder that may not be read, for now
            log.error("the folders of models cannot be read: %s", error)
        self._retired = [v for v in self._retired if not v.join(0)]

    def _find_models(self) -> None:
        if self.folder is not None:
            for name, source in sources_in(self.folder).items():
                if name not in self.entries:
                    self.entries = {**self.entries, name: Entry(name, source)}
        for entry in self.entries.values():
            if entry.source.is_watched and not entry.is_out:
                self._look(entry)

    def _look(self, entry: Entry) -> None:
        """Serve the highest version that can be. What is served stays where it is the highest that works, and where all have gone."""
        there = entry.source.versions()
        for number in sorted(there, reverse=True):
            seen = there[number]
            if entry.current is not None and (entry.current.number, entry.seen) == (number, seen):
                break
            if number in entry.broken and entry.broken[number] == seen:
                continue
            version = self._loaded(entry, number)
            if version is None:
                entry.broken[number] = seen
                continue
            self._switch(entry, version, seen)
            break

    def _loaded(self, entry: Entry, number: int) -> Version | None:
        entry.states[number] = LOADING, ""
        version = Version(entry.name, number, lambda: entry.source.load(number), *self._sizes, self.metrics)
        error = None if version.loaded() else version.error
        if error is None and self.memory_limit is not None and version.nbytes > self.memory_limit:
            error = f"it takes {version.nbytes / 1e6:.1f} MB, and the memory limit is {self.memory_limit / 1e6:.1f} MB"
            version.retire()
        self.metrics.load(entry.name, "failed" if error else "loaded")
        if error is not None:
            entry.states[number] = END, error
            log.error("model %r, version %d cannot be served: %s", entry.name, number, error)
            return None
        return version

    def _switch(self, entry: Entry, version: Version, seen: Any) -> None:
        old, entry.current, entry.seen, entry.is_out = entry.current, version, seen, False
        entry.states[version.number] = AVAILABLE, ""
        entry.broken.pop(version.number, None)
        log.info("model %r: version %d is served", entry.name, version.number)
        if old is not None:
            self._let_go(entry, old)
        self._make_room(entry)

    def _let_go(self, entry: Entry, version: Version) -> None:
        if entry.current is None or entry.current.number != version.number:
            entry.states[version.number] = END, ""
        version.retire()
        self._retired.append(version)

    def _make_room(self, newest: Entry) -> None:
        """Put out models that were asked for least recently, until the rest fits."""
        if self.memory_limit is None:
            return
        newest.used = time.monotonic()
        loaded = sorted((e for e in self.entries.values() if e.current is not None), key=lambda e: e.used)
        total = sum(e.current.nbytes for e in loaded)
        for entry in loaded:
            if total <= self.memory_limit or entry is newest:
                return
            old, entry.current, entry.is_out = entry.current, None, True
            total -= old.nbytes
            log.info("model %r is put out for want of memory", entry.name)
            self._let_go(entry, old)


def _wake(entry: Entry) -> None:
    """Tell requests that wait for a model that it has been seen to."""
    waiters, entry.waiters = entry.waiters, []
    for loop, future in waiters:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(lambda f=future: f.done() or f.set_result(None))
