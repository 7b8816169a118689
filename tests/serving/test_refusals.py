"""What bodies are refused for, the protocol of starting and ending, and counts of several workers."""

import asyncio

import pytest

from mlkit import serving
from mlkit.serving.metrics import Metrics
from tests.serving.asking import client, net

PATH = "/v1/models/net:predict"


@pytest.mark.parametrize(
    "body, words",
    [
        ({"instances": []}, "must be a list of at least one row"),
        ({"instances": [{"b64": "!"}]}, "expected rows of shape (rows, 4) of float32, got {'b64': '!'}"),
        ({"instances": [["a", "b", "c", "d"]]}, "expected float32, got strings"),
    ],
)
def test_rows_that_are_none(body, words):
    with client({"net": net()}) as asked:
        reply = asked.ask("POST", PATH, body)
        assert (reply.status, words in reply.error) == (400, True)


def test_bodies_that_are_nested_too_deeply():
    with client({"net": net()}) as asked:
        reply = asked.ask("POST", PATH, b'{"instances": ' + b"[" * 100_000)
        assert reply.status == 400


@pytest.mark.parametrize(
    "body, words",
    [
        ({"context": 3, "examples": [{"x": [0, 0, 0, 0]}]}, "'context' must be an object"),
        ({"context": {"x": [0, 0, 0, 0]}, "examples": [{"x": [0, 0, 0, 0]}]}, "'x' is in 'context' too"),
    ],
)
def test_contexts_that_do_not_fit(body, words):
    with client({"net": net()}) as asked:
        reply = asked.ask("POST", "/v1/models/net:classify", body)
        assert (reply.status, words in reply.error) == (400, True)


def test_v2_inputs_need_data():
    with client({"net": net()}) as asked:
        body = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32"}]}
        reply = asked.ask("POST", "/v2/models/net/infer", body)
        assert (reply.status, "needs either 'data' or" in reply.error) == (400, True)


def test_a_version_that_is_not_there():
    with client({"net": net()}) as asked:
        reply = asked.ask("POST", "/v1/models/net/versions/7:predict", {"instances": [[0, 0, 0, 0]]})
        assert (reply.status, "has no version" in reply.error) == (404, True)


def test_a_server_tells_the_application_of_its_beginning_and_end():
    """The lifespan of ASGI; other kinds of connections are closed."""
    app = serving.app({"net": net()})
    sent, coming = [], [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    asyncio.run(app({"type": "websocket", "path": "/"}, receive, send))
    assert sent[-1]["type"] == "websocket.close"


def test_counts_of_two_workers_are_added():
    workers = Metrics(), Metrics()
    for metrics, rows in zip(workers, (2, 3)):
        for _ in range(rows):
            metrics.request("net", "v1", 200, 0.01)
        metrics.batch("net", rows, 0.5)
    whole = Metrics()
    for metrics in workers:
        whole.add(metrics.snapshot())
    text = whole.text()
    assert 'mlkit_requests_total{model="net",protocol="v1",code="200"} 5' in text
    assert 'mlkit_batch_rows_count{model="net"} 2' in text
    assert 'mlkit_batch_rows_sum{model="net"} 5' in text
