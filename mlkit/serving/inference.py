"""The way of a request: body, arrays, queue, batch, arrays, body."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlkit.serving import inference_v2, rest_v1
from mlkit.serving.contract import RequestError
from mlkit.serving.http import Answer, ClientLeft, Receive, body_of, header
from mlkit.serving.json_body import parsed
from mlkit.serving.store import Store
from mlkit.serving.tensors import require_finite, rows_of
from mlkit.serving.version import Job, Retired, Version, too_late

_PATIENCE = 0.02  # seconds after which it is worth looking whether a client is still there
_TURN = 0.002  # seconds
_AROUND = 0.00005  # seconds that each part of a request takes beside its own work: tasks, HTTP, system calls


@dataclass
class Asked:
    """A request, and what the metrics want to know of it. began: when it came, as `time.monotonic` has it."""

    scope: dict[str, Any]
    receive: Receive
    began: float
    protocol: str = ""
    model: str = ""


class Inference:
    """Answers requests for inference, in both protocols. For the arguments see `App`."""

    def __init__(self, store: Store, timeout: float, max_body: int, allow_nonfinite: bool):
        self._store, self._timeout, self._max_body, self._allow_nonfinite = store, timeout, max_body, allow_nonfinite
        self._spent = 0.0  # seconds that requests took in this turn of the event loop
        self._came, self._came_before = 0, 1  # requests in this turn, and in the last one that had any

    async def rest_v1(self, asked: Asked, model: str, version: str | None, verb: str) -> Answer:
        def split(body: bytes, served: Version) -> tuple[Any, Any]:
            rest_v1.require_verb(verb, served.outputs)
            return body, None

        def read(given: dict[str, Any], _: None, served: Version) -> rest_v1.Request:
            return rest_v1.Request(verb, given, served.inputs)

        def write(request: rest_v1.Request, served: Version, arrays: list[Any]) -> Answer:
            return Answer(request.answer(arrays, served.outputs, served.class_names))

        asked.protocol = "v1"
        return await self._answer(asked, model, version, split, read, write)

    async def inference_v2(self, asked: Asked, model: str, version: str | None) -> Answer:
        length = header(asked.scope, inference_v2.JSON_LENGTH)

        def split(body: bytes, served: Version) -> tuple[Any, Any]:
            return inference_v2.split(body, length)

        def read(given: dict[str, Any], tail: memoryview, served: Version) -> inference_v2.Request:
            return inference_v2.Request(given, tail, served.inputs, served.outputs)

        def write(request: inference_v2.Request, served: Version, arrays: list[Any]) -> Answer:
            body, head = request.answer(model, served.number, arrays, served.outputs, served.class_names)
            if head is None:
                return Answer(body)
            return Answer(body, content_type=b"application/octet-stream", headers=[(inference_v2.JSON_LENGTH, b"%d" % head)])

        asked.protocol = "v2"
        return await self._answer(asked, model, version, split, read, write)

    async def _answer(
        self,
        asked: Asked,
        model: str,
        number: str | None,
        split: Callable[..., tuple[Any, Any]],
        read: Callable[..., Any],
        write: Callable[..., Answer],
    ) -> Answer:
        """split: from a body to its JSON and the bytes behind it; read: from what the JSON holds, and these bytes, to a request;
        write: from a request and the model's arrays to the answer."""
        self._store.entry(model)
        asked.model = model  # one that is there: names in the metrics are not for anybody to choose
        deadline, body = asked.began + self._timeout, None
        self._came += 1
        is_alone = self._came == 1 and self._came_before == 1  # where several come in a turn they had better be one batch
        while True:
            served = await self._store.version(model, number, deadline)
            if body is None:
                await self._in_turn(served.require_room)  # before anything is done for a request that would be refused
                body = await body_of(asked.scope, asked.receive, self._max_body, self._timeout)
            ticket = object()
            served.admit(ticket)
            try:
                head, tail = split(body, served)
                # half of the time of a large body in one turn, and the other half in another
                given = await self._in_turn(parsed, head)
                request = await self._in_turn(self._read, read, given, tail, served)
                if request.timeout is not None:
                    deadline = min(deadline, asked.began + request.timeout)
                job = Job(request.arrays, deadline, asyncio.get_running_loop())
                arrays = await self._in_turn(served.answer_alone, job) if is_alone else None
                if arrays is None:
                    served.submit(job)
                    arrays = await _result(job, asked.receive)
                return await self._in_turn(write, request, served, arrays)
            except Retired:
                continue  # just now: another version has its place
            finally:
                served.left(ticket)

    def _read(self, read: Callable[..., Any], given: dict[str, Any], tail: Any, served: Version) -> Any:
        try:
            request = read(given, tail, served)
        except RecursionError:
            raise RequestError(400, "the body is nested too deeply.") from None
        rows_of(request.arrays, served.inputs)
        if not self._allow_nonfinite:
            require_finite(request.arrays, served.inputs)
        return request

    async def _in_turn(self, fn: Callable[..., Any], *args: Any) -> Any:
        """What a function gives. Requests share `_TURN` seconds of each turn of the event loop, so that whoever asks for something else,
        as for health, does not wait for all that have come. (A thread would hold the interpreter's lock as long, and let the loop wait for
        it at each of its system calls.)"""
        while self._spent > _TURN:
            await asyncio.sleep(0)
        began = time.perf_counter()
        try:
            return fn(*args)
        finally:
            if not self._spent:
                asyncio.get_running_loop().call_soon(self._next_turn)
            self._spent += time.perf_counter() - began + _AROUND

    def _next_turn(self) -> None:
        self._spent = 0.0
        if self._came:
            self._came, self._came_before = 0, self._came


async def _result(job: Job, receive: Receive) -> list[Any]:
    """What a model gives for a job. After a moment it is watched whether the client is still there, and what time it is."""
    watchers: list[asyncio.Task[None]] = []
    patience = min(_PATIENCE, max(0.0, job.deadline - time.monotonic()))
    timer = job.loop.call_later(patience, lambda: watchers.append(job.loop.create_task(_watch(job, receive))))
    try:
        return await job.future
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()


async def _watch(job: Job, receive: Receive) -> None:
    """Give a job up, so that it is not computed, when its client leaves or its deadline passes."""
    try:
        async with asyncio.timeout(max(0.0, job.deadline - time.monotonic())):
            while (await receive())["type"] != "http.disconnect":
                pass
        reason: Exception = ClientLeft()
    except TimeoutError:
        reason = too_late()
    if not job.future.done():
        job.future.set_exception(reason)
