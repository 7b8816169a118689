"""A version of a model that is loaded: its thread, and the queue before it."""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.serving.batches import Batches
from mlkit.serving.contract import RequestError, Runner
from mlkit.serving.metrics import Metrics

log = logging.getLogger("mlkit.serving")
_STOP = None  # in the queue: nothing comes behind it
_LONG = 0.005  # seconds of the processor: what has taken them once is not quick
_HELD_UP = 0.01  # seconds: what has taken them has waited, for weights that somebody trains, say, or for the processor
_PAUSE = 1.0  # seconds until it is worth trying again


class Retired(Exception):
    """The version takes no more requests: another one has its place."""


class Job:
    """Rows of one request, on their way through a model."""

    __slots__ = ("inputs", "rows", "shapes", "deadline", "future", "loop")

    def __init__(self, inputs: Sequence[np.ndarray], deadline: float, loop: asyncio.AbstractEventLoop):
        self.inputs, self.rows, self.deadline = inputs, len(inputs[0]), deadline
        self.shapes = tuple([a.shape[1:] for a in inputs])  # rows of one shape can be one batch
        self.loop, self.future = loop, loop.create_future()


def too_late() -> RequestError:
    return RequestError(503, "the request waited until its deadline and was not computed.", retry_after=1)


class Version:
    """Loads a model in a thread of its own, then runs there what `submit` brings.

    No timer decides what is a batch: what waits when the model becomes free is one, so that a lone request starts at once, and under load
    batches grow by themselves. Where the model is free, and so quick that handing over takes as long, a request that is alone is computed
    in the thread that brings it: `answer_alone`.

    Args:
        name, number: Of the model and the version.
        load: Function that loads it.
        max_batch_size: Rows that run at once.
        max_queue: Requests that may wait.
        metrics: Where batches are counted.
    """

    def __init__(
        self, name: str, number: int, load: Callable[[], Runner], max_batch_size: int, max_queue: int, metrics: Metrics
    ):
        self.name, self.number, self.max_queue = name, number, max_queue
        self.error: str | None = None
        self._load, self._max_batch_size, self._metrics = load, max_batch_size, metrics
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pending: deque[Any] = deque()  # taken from the queue, not run yet
        self._stopping = False  # _STOP has come
        self._admitted: set[object] = set()  # its changes are atomic, whatever threads make them
        self._running = 0
        self._free = threading.Lock()  # held by whoever runs the model
        self._held_up_until = 0.0
        self._lock, self._closed = threading.Lock(), False
        self._settled = threading.Event()  # it is loaded, or has failed
        self._thread = threading.Thread(target=self._main, name=f"mlkit-{name}-{number}", daemon=True)
        self._thread.start()

    def loaded(self) -> bool:
        """Wait until it is loaded; whether it is, or else `error` says why not."""
        self._settled.wait()
        return self.error is None

    @property
    def waiting(self) -> int:
        """Requests that are here and not being computed."""
        return max(0, len(self._admitted) - self._running)

    def require_room(self) -> None:
        """Refuse a request where as many wait as may."""
        if self.waiting >= self.max_queue:
            raise RequestError(
                503, f"model {self.name!r}: the queue is full, {self.max_queue} requests are waiting.", retry_after=1
            )

    def admit(self, request: object) -> None:
        """Let a request be one of those that wait, from its body until it has `left`. (Not the queue alone is counted: with a small model
        the time goes into reading and writing.)"""
        self.require_room()
        self._admitted.add(request)

    def left(self, request: object) -> None:
        """A request has its answer, or needs none."""
        self._admitted.discard(request)

    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue; its future gets the arrays, or an exception.

        Raises:
            Retired: See there.
        """
        with self._lock:
            if self._closed:
                raise Retired
            self._queue.put(job)

    def answer_alone(self, job: Job) -> list[Any] | None:
        """What the model gives for a job, computed here and now; None where it is better put into the queue: others wait, the model runs
        or takes its time.

        Raises:
            Retired: See there.
            RequestError: The model does not take the rows, or they are late.
        """
        batches, began = self._batches, time.monotonic()
        if job.rows > batches.quick_rows or len(self._admitted) > 1 or began < self._held_up_until:
            return None
        if not self._free.acquire(blocking=False):
            return None
        try:
            if self._closed:
                raise Retired
            if job.deadline < began:
                raise too_late()
            used = time.thread_time()
            (result,) = self._results(batches, [job])
            if time.thread_time() - used > _LONG:
                batches.quick_rows = 0
            elif (ended := time.monotonic()) - began > _HELD_UP:
                self._held_up_until = ended + _PAUSE
        finally:
            self._free.release()
        if isinstance(result, Exception):
            raise result
        return result

    def retire(self) -> None:
        """Take no more jobs; those that wait are answered, then the thread ends and the model goes."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(_STOP)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended; whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- in the thread -----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self._batches = batches = Batches(self._load(), self._max_batch_size)
            runner = batches.runner
            self.inputs, self.outputs, self.class_names = runner.inputs, runner.outputs, runner.class_names
            self.platform, self.nbytes, self.verified = runner.platform, runner.nbytes, batches.verified
        except Exception as error:  # a model file may be wrong in any way; the server goes on
            self.error = f"{type(error).__name__}: {error}"
            log.debug("model %r, version %d", self.name, self.number, exc_info=True)
            return
        finally:
            self._settled.set()
        while (jobs := self._next(batches.max_rows)) is not None:
            if jobs:
                with self._free:
                    self._running = len(jobs)
                    results = self._results(batches, jobs)
                _deliver(list(zip(jobs, results)))
                self._running = 0

    def _next(self, limit: int) -> list[Job] | None:
        """The jobs that run together now, of so many rows at most; None after the last."""
        waiting = self._pending
        if not waiting and not self._stopping:
            waiting.append(self._queue.get())
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.append(self._queue.get_nowait())
        if waiting and waiting[-1] is _STOP:
            waiting.pop()
            self._stopping = True
        if self._stopping and not waiting:
            return None
        together: list[Job] = []
        late, left = [], []
        rows, now = 0, time.monotonic()
        for job in waiting:
            if job.future.done():
                continue  # its client has left
            if job.deadline < now:
                late.append((job, too_late()))
            elif not together or (rows + job.rows <= limit and job.shapes == together[0].shapes):
                together.append(job)
                rows += job.rows
            else:
                left.append(job)
        self._pending = deque(left)
        _deliver(late)
        return together

    def _results(self, batches: Batches, jobs: list[Job]) -> list[Any]:
        """Of each job its arrays, or what is wrong with it."""
        began = time.perf_counter()
        try:
            results: list[Any] = batches([job.inputs for job in jobs])
        except Exception as error:
            if len(jobs) > 1:  # one of them is wrong; which one, each finds out by itself
                return [result for job in jobs for result in self._results(batches, [job])]
            results = [self._refusal(error)]
        self._metrics.batch(self.name, sum(job.rows for job in jobs), time.perf_counter() - began)
        return results

    def _refusal(self, error: Exception) -> Exception:
        """What a request hears whose rows the model does not take."""
        if isinstance(error, (ValueError, IndexError, TypeError, KeyError, OverflowError)):
            return RequestError(400, f"model {self.name!r} does not take these values: {error}")
        log.error("model %r, version %d: a batch failed", self.name, self.number, exc_info=error)
        return RequestError(500, f"model {self.name!r} failed: {type(error).__name__}.")


def _deliver(answers: list[tuple[Job, Any]]) -> None:
    """Give jobs their results, in the event loops where they are waited for."""
    for loop in dict.fromkeys(job.loop for job, _ in answers):
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(_settle, [(job.future, result) for job, result in answers if job.loop is loop])


def _settle(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
