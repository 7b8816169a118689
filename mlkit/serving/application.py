"""The ASGI application: its options, which request goes where, and what there is to know of models."""

import asyncio
import hmac
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from mlkit.serving import inference_v2, rest_v1
from mlkit.serving.contract import RequestError
from mlkit.serving.http import Answer, ClientLeft, Receive, Router, Send, answer_of, header
from mlkit.serving.inference import Asked, Inference
from mlkit.serving.json_body import written
from mlkit.serving.metrics import CONTENT_TYPE, Metrics
from mlkit.serving.shared_metrics import MetricsFolder
from mlkit.serving.sources import source_of
from mlkit.serving.store import Store
from mlkit.serving.version import Version

log = logging.getLogger("mlkit.serving")


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
        if memory_limit is not None and (type(memory_limit) is not int or memory_limit < 1):
            raise ValueError(f"serving: `memory_limit` must be a positive number of bytes or None, but got {memory_limit!r}.")
        if token is not None and not token:
            raise ValueError("serving: `token` must not be empty.")
        if not models and folder is None:
            raise ValueError("serving: there is nothing to serve. Pass models={name: model}, or folder=.")
        if folder is not None and not os.path.isdir(folder):
            raise FileNotFoundError(f"serving: there is no folder {folder!r}.")
        for name in models:
            if not name or set(name) & set("/:%?# "):
                raise ValueError(f"serving: {name!r} cannot be the name of a model: it becomes a part of a path.")
        self.timeout = timeout
        self.metrics = Metrics()
        self._shared = MetricsFolder(metrics_folder, self.metrics) if metrics_folder is not None else None
        self._token = None if token is None else b"Bearer " + token.encode()
        sources = {name: source_of(given, name) for name, given in models.items()}
        self.store = Store(sources, folder, memory_limit, max_batch_size, max_queue, watch_seconds, self.metrics)
        self._inference = Inference(self.store, timeout, max_body, allow_nonfinite)
        version = "/v1/models/{model}[/versions/{version}]"
        model = "/v2/models/{model}[/versions/{version}]"
        self._router = Router(
            [
                ("POST", version + ":{verb}", self._inference.rest_v1),
                ("POST", model + "/infer", self._inference.inference_v2),
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
        asked = Asked(scope, receive, time.monotonic())
        try:
            answer = await self._answer(asked)
        except RequestError as error:
            answer = answer_of(error)
        except ClientLeft:
            answer = Answer(b"", 499)  # for the metrics; nobody hears it
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            answer = answer_of(RequestError(500, "the server failed; its log says how."))
        if asked.protocol:
            self.metrics.request(asked.model, asked.protocol, answer.status, time.monotonic() - asked.began)
        if answer.status != 499:
            await answer.send(send)

    async def _answer(self, asked: Asked) -> Answer:
        path = asked.scope["path"].removeprefix(asked.scope.get("root_path", ""))  # where another application has it within
        handler, parts = self._router.find(asked.scope["method"], path.removesuffix("/") or "/")
        if handler not in (self._live, self._ready):
            self._require_token(asked.scope)
        if handler in (self._inference.rest_v1, self._inference.inference_v2):
            return await handler(asked, **parts)
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
