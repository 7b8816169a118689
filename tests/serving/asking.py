"""Asks an ASGI application without a network, and models to ask."""

import asyncio
import contextlib
import json
import threading
import time

import numpy as np

import mlkit as keras
from mlkit import serving
from mlkit.serving.contract import TensorSpec


class Reply:
    def __init__(self, messages):
        start, body = messages
        self.status, self.body = start["status"], body["body"]
        self.headers = {k.decode(): v.decode() for k, v in start["headers"]}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        assert list(self.json) == ["error"]
        return self.json["error"]


class Client:
    """Runs an application in an event loop of its own thread. ask: one request, answered; send: a Future of one."""

    def __init__(self, application):
        self.app = application
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        application.store.start()
        application.store.settled.wait(60)

    def send(self, method, path, body=b"", headers=(), left=None, root=""):
        """left: an asyncio.Event after which the client has gone. root: what the application's paths begin with."""
        if not isinstance(body, (bytes, list)):
            body = json.dumps(body).encode()
        parts = body if isinstance(body, list) else [body]
        return asyncio.run_coroutine_threadsafe(self._ask(method, path, parts, headers, left, root), self.loop)

    def ask(self, *args, **kwargs):
        return self.send(*args, **kwargs).result(60)

    def close(self):
        self.app.store.stop(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _ask(self, method, path, parts, headers, left, root):
        heads = [(k.lower().encode(), v.encode()) for k, v in dict(headers).items()]
        scope = {"type": "http", "method": method, "path": root + path, "root_path": root, "headers": heads}
        coming = [{"type": "http.request", "body": p, "more_body": i + 1 < len(parts)} for i, p in enumerate(parts)]
        sent = []

        async def receive():
            if coming:
                return coming.pop(0)
            await (left or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        return Reply(sent) if sent else None


@contextlib.contextmanager
def client(models, **options):
    asked = Client(serving.app(models, **options))
    try:
        yield asked
    finally:
        asked.close()


def net(units=3, inputs=4, seed=0):
    keras.utils.set_random_seed(seed)
    x = keras.Input((inputs,), name="x")
    h = keras.layers.Dense(5, activation="tanh")(x)
    return keras.Model(x, keras.layers.Dense(units, activation="sigmoid", name="y")(h))


def two_inputs():
    a, b = keras.Input((2,), name="a"), keras.Input((), dtype="int32", name="b")
    e = keras.layers.Embedding(5, 2)(b)
    return keras.Model([a, b], [keras.layers.Add(name="sum")([a, e]), keras.layers.Dense(1, name="out")(a)])


def rows(n, width=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)).astype("float32")


class Slow:
    """A Runner that notes the batches it runs, and waits in each until it is let go."""

    rows = class_names = golden = None
    platform, nbytes = "test", 8
    inputs = [TensorSpec("x", "float32", (2,))]
    outputs = [TensorSpec("y", "float32", (2,))]

    def __init__(self):
        self.batches, self.go, self.began = [], threading.Event(), threading.Event()
        self.go.set()

    def prepare(self, rows):
        pass

    def run(self, arrays):
        self.batches.append(arrays[0][:, 0].tolist())
        self.began.set()
        assert self.go.wait(30)
        if (arrays[0] == 13).any():
            raise ValueError("thirteen")
        return [arrays[0] * 2]


@contextlib.contextmanager
def slow_client(monkeypatch, quick=False, **options):
    """A client of a model "slow", and its Runner. quick: whether the server may find that it is not slow at all."""
    runner = Slow()
    monkeypatch.setattr("mlkit.serving.sources.KerasRunner", lambda model: runner)
    if not quick:
        monkeypatch.setattr("mlkit.serving.batches._QUICK", 0.0)
    with client({"slow": net()}, **options) as asked:
        runner.batches.clear()
        yield asked, runner


def hold(asked, runner):
    """Send a request that keeps the model busy; its Future."""
    runner.go.clear()
    runner.began.clear()
    first = asked.send("POST", "/v1/models/slow:predict", {"instances": [[0, 0]]})
    assert runner.began.wait(10)
    return first


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
