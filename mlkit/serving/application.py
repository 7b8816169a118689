"""The ASGI application: which request goes where, and what happens to it on its way."""

import asyncio
import hmac
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlkit.serving import inference_v2, rest_v1
from mlkit.serving.contract import RequestError
from mlkit.serving.http import Answer, ClientLeft, Receive, Router, Send, answer_of, body_of, header
from mlkit.serving.json_body import written
from mlkit.serving.metrics import CONTENT_TYPE, Metrics
from mlkit.serving.shared_metrics import MetricsFolder
from mlkit.serving.sources import source_of
from mlkit.serving.store import Store
from mlkit.serving.tensors import require_finite, rows_of
from mlkit.serving.version import Job, Retired, Version, too_late

log = logging.getLogger("mlkit.serving")
_PATIENCE = 0.02  # seconds after which it is worth looking whether a client is still there
_LARGE = 1 << 16  # bytes of a body that are not taken apart in the event loop
_LARGE_ANSWER = 1 << 14  # elements


def app(models: Mapping[str, Any] | None = None, **options: Any) -> "App":
    """An ASGI application that serves models, for any ASGI server; `mlkit serve` runs it on uvicorn.

    Args:
        models: Name -> model, path of a .keras or .onnx file, or path of a folder of versions (``1/model.keras``, ``2/model.keras`` …),
            which is watched.
        **options: See `App`.

    Returns:
        The application. Models are loaded in the background once the server starts it.

    >>> import mlkit as keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> application = app({"net": model}, max_batch_size=8)
    >>> sorted(application.store.entries)
    ['net']
    """
    return App(models or {}, **options)


class App:
    """See `app`. It speaks the REST protocol of TensorFlow Serving and the Open Inference Protocol, and tells Prometheus what it does.

    Args:
        models: See `app`.
        folder: Folder of folders of versions, each a model under its name; new ones are found while the server runs.
        max_batch_size: Rows that a model computes at once.
        max_queue: Requests that may wait for a model; more hear 503.
        timeout: Seconds after which a request that still waits is not computed. Clients may ask for less.
        max_body: Bytes that a request may have.
        memory_limit: Bytes that models may take together, or None. Those asked for least recently are put out, and loaded again
            when they are asked for.
        allow_nonfinite: Whether NaN and infinities are taken.
        token: What every request but those for health must show as ``Authorization: Bearer TOKEN``; None for no such thing.
        watch_seconds: Between two looks at folders.
        metrics_folder: Folder in which servers that share an address put down what they have counted, so that each can tell all of it.

    Raises:
        ValueError: An option is wrong, or something is no model.
        FileNotFoundError: There is no such file or folder.
    """

    def __init__(
        self,
        models: Mapping[str, Any],
        *,
        folder: str | None = None,
        max_batch_size: int = 32,
        max_queue: int = 128,
        timeout: float = 30.0,
        max_body: int = 64 << 20,
        memory_limit: int | None = None,
        allow_nonfinite: bool = False,
        token: str | None = None,
        watch_seconds: float = 1.0,
        metrics_folder: str | None = None,
    ):
        for name, value in (("max_batch_size", max_batch_size), ("max_queue", max_queue), ("max_body", max_body)):
            if type(value) is not int or value < 1:
                raise ValueError(f"serving: `{name}` must be a positive int, but got {value!r}.")
        for name, seconds in (("timeout", timeout), ("watch_seconds", watch_seconds)):
            if not 0 < seconds < float("inf"):
                raise ValueError(f"serving: `{name}` must be a positive number of seconds, but got {seconds!r}.")
        if token is not None and not token:
            raise ValueError("serving: `token` must not be empty.")
        if not models and folder is None:
            raise ValueError("serving: there is nothing to serve. Pass models={name: model}, or folder=.")
        if folder is not None and not os.path.isdir(folder):
            raise FileNotFoundError(f"serving: there is no folder {folder!r}.")
        for name in models:
            if not name or set(name) & set("/:%?# "):
                raise ValueError(f"serving: {name!r} cannot be the name of a model: it becomes a part of a path.")
        self.timeout, self.max_body, self.allow_nonfinite = timeout, max_body, allow_nonfinite
        self.metrics = Metrics()
        self._shared = MetricsFolder(metrics_folder, self.metrics) if metrics_folder is not None else None
        self._side = ThreadPoolExecutor(1, "mlkit-bodies")  # one: with more the event loop would wait for its turn among them
        self._token = None if token is None else b"Bearer " + token.encode()
        sources = {name: source_of(given, name) for name, given in models.items()}
        self.store = Store(sources, folder, memory_limit, max_batch_size, max_queue, watch_seconds, self.metrics)
        version = "/v1/models/{model}[/versions/{version}]"
        model = "/v2/models/{model}[/versions/{version}]"
        self._router = Router(
            [
                ("POST", version + ":{verb}", self._rest_v1),
                ("POST", model + "/infer", self._inference_v2),
                ("GET", "/v2/health/live", self._live),
                ("GET", "/v2/health/ready", self._ready),
                ("GET", "/metrics", self._metrics),
                ("GET", version, self._v1_status),
                ("GET", version + "/metadata", self._v1_metadata),
                ("GET", "/v2", self._v2_server),
                ("GET", model, self._v2_metadata),
                ("GET", model + "/ready", self._v2_model_ready),
                ("POST", "/v2/repository/index", self._v2_index),
            ]
        )

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        self.store.start()  # where the server has no lifespan
        began = time.monotonic()
        told: dict[str, str] = {}
        try:
            answer = await self._answer(scope, receive, began, told)
        except RequestError as error:
            answer = answer_of(error)
        except ClientLeft:
            answer = Answer(b"", 499)  # for the metrics; nobody hears it
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            answer = answer_of(RequestError(500, "the server failed; its log says how."))
        if "protocol" in told:
            self.metrics.request(told["model"], told["protocol"], answer.status, time.monotonic() - began)
        if answer.status != 499:
            await answer.send(send)

    async def _answer(self, scope: dict[str, Any], receive: Receive, began: float, told: dict[str, str]) -> Answer:
        handler, parts = self._router.find(scope["method"], scope["path"].removesuffix("/") or "/")
        if handler not in (self._live, self._ready):
            self._require_token(scope)
        if handler in (self._rest_v1, self._inference_v2):
            return await handler(scope, receive, began, told, **parts)
        return handler(**parts)

    def _require_token(self, scope: dict[str, Any]) -> None:
        if self._token is not None and not hmac.compare_digest(header(scope, b"authorization") or b"", self._token):
            raise RequestError(401, "the request needs the header 'Authorization: Bearer TOKEN' with the server's token.")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.store.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self.store.stop, self.timeout)
                if self._shared is not None:
                    self._shared.close()
                return await send({"type": "lifespan.shutdown.complete"})

    # ---- inference ---------------------------------------------------------------------------------------------------

    async def _rest_v1(
        self,
        scope: dict[str, Any],
        receive: Receive,
        began: float,
        told: dict[str, str],
        model: str,
        version: str | None,
        verb: str,
    ) -> Answer:
        def read(body: bytes, served: Version) -> rest_v1.Request:
            rest_v1.require_verb(verb, served.outputs)
            return rest_v1.Request(verb, body, served.inputs)

        def write(request: rest_v1.Request, served: Version, arrays: list[Any]) -> Answer:
            return Answer(request.answer(arrays, served.outputs, served.class_names))

        told.update(model="", protocol="v1")
        return await self._infer(scope, receive, began, told, model, version, read, write)

    async def _inference_v2(
        self, scope: dict[str, Any], receive: Receive, began: float, told: dict[str, str], model: str, version: str | None
    ) -> Answer:
        length = header(scope, inference_v2.JSON_LENGTH)

        def read(body: bytes, served: Version) -> inference_v2.Request:
            return inference_v2.Request(body, length, served.inputs, served.outputs)

        def write(request: inference_v2.Request, served: Version, arrays: list[Any]) -> Answer:
            body, head = request.answer(model, served.number, arrays, served.outputs, served.class_names)
            if head is None:
                return Answer(body)
            return Answer(body, content_type=b"application/octet-stream", headers=[(inference_v2.JSON_LENGTH, b"%d" % head)])

        told.update(model="", protocol="v2")
        return await self._infer(scope, receive, began, told, model, version, read, write)

    async def _infer(
        self,
        scope: dict[str, Any],
        receive: Receive,
        began: float,
        told: dict[str, str],
        model: str,
        number: str | None,
        read: Callable[..., Any],
        write: Callable[..., Answer],
    ) -> Answer:
        """The way of a request: body, arrays, queue, batch, arrays, body."""
        deadline = began + self.timeout
        self.store.entry(model)
        told["model"] = model
        body = None
        while True:
            served = await self.store.version(model, number, deadline)
            served.require_room()  # before anything is done for a request that would be refused
            if body is None:
                body = await body_of(scope, receive, self.max_body, self.timeout)
            request = await self._beside(len(body) > _LARGE, self._read, read, body, served)
            timeout = getattr(request, "timeout", None)
            job = Job(
                request.arrays, deadline if timeout is None else min(deadline, began + timeout), asyncio.get_running_loop()
            )
            try:
                served.submit(job)
                break
            except Retired:  # just now; another version has its place
                continue
        arrays = await _result(job, receive)
        return await self._beside(sum(a.size for a in arrays) > _LARGE_ANSWER, write, request, served, arrays)

    async def _beside(self, is_large: bool, fn: Callable[..., Any], *args: Any) -> Any:
        """What a function gives; in a thread where it would keep the event loop from others."""
        return await asyncio.get_running_loop().run_in_executor(self._side, fn, *args) if is_large else fn(*args)

    def _read(self, read: Callable[..., Any], body: bytes, served: Version) -> Any:
        try:
            request = read(body, served)
        except RecursionError:
            raise RequestError(400, "the body is nested too deeply.") from None
        rows_of(request.arrays, served.inputs)
        if not self.allow_nonfinite:
            require_finite(request.arrays, served.inputs)
        return request

    # ---- what there is to know ---------------------------------------------------------------------------------------

    def _live(self) -> Answer:
        return Answer(written({"live": True}))

    def _ready(self) -> Answer:
        if not self.store.is_ready:
            raise RequestError(503, "; ".join(self.store.failures()) or "models are being loaded.", retry_after=1)
        return Answer(written({"ready": True}))

    def _metrics(self) -> Answer:
        gauges = []
        for name, entry in self.store.entries.items():
            if (served := entry.current) is not None:
                gauges += [
                    ("mlkit_queue_requests", name, served.waiting),
                    ("mlkit_model_version", name, served.number),
                    ("mlkit_model_bytes", name, served.nbytes),
                ]
        metrics = self.metrics if self._shared is None else self._shared.all()
        return Answer(metrics.text(gauges).encode(), content_type=CONTENT_TYPE)

    def _served(self, model: str, number: str | None) -> Version:
        """The version that is served, for what describes it."""
        served = self.store.entry(model).current
        if served is None:
            raise RequestError(503, f"model {model!r} is not ready: {self.store.entry(model).message()}.", retry_after=1)
        if number is not None and number != str(served.number):
            raise RequestError(404, f"model {model!r} has no version {number!r} that is served; there is {served.number}.")
        return served

    def _v1_status(self, model: str, version: str | None) -> Answer:
        states = self.store.entry(model).states
        if version is not None and version not in map(str, states):
            raise RequestError(
                404, f"model {model!r} has no version {version!r}; there are {', '.join(map(str, sorted(states)))}."
            )
        return Answer(
            rest_v1.status([(n, *states[n]) for n in sorted(states, reverse=True) if version is None or str(n) == version])
        )

    def _v1_metadata(self, model: str, version: str | None) -> Answer:
        served = self._served(model, version)
        return Answer(rest_v1.metadata(model, served.number, served.inputs, served.outputs))

    def _v2_server(self) -> Answer:
        return Answer(written({"name": "mlkit", "version": "2", "extensions": inference_v2.EXTENSIONS}))

    def _v2_metadata(self, model: str, version: str | None) -> Answer:
        served = self._served(model, version)
        return Answer(inference_v2.metadata(model, [served.number], served.platform, served.inputs, served.outputs))

    def _v2_model_ready(self, model: str, version: str | None) -> Answer:
        if not (self.store.entry(model).is_out and version is None):
            self._served(model, version)
        return Answer(written({"name": model, "ready": True}))

    def _v2_index(self) -> Answer:
        listed = []
        for name, entry in sorted(self.store.entries.items()):
            for number, (state, message) in sorted(entry.states.items()):
                ready = "READY" if state == "AVAILABLE" else "UNAVAILABLE"
                listed.append({"name": name, "version": str(number), "state": ready, "reason": message})
        return Answer(written(listed))


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
