"""What bodies are refused for, the protocol of starting and ending, and counts of several workers."""

import asyncio
import base64
import struct

import numpy as np
import pytest

import mlkit as keras
from mlkit import serving
from mlkit.serving.batches import Batches
from mlkit.serving.keras_runner import KerasRunner
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


def words():
    """A model of strings: the number of a word."""
    x = keras.Input((2,), dtype="string", name="word")
    return keras.Model(x, keras.layers.StringLookup(vocabulary=["cat", "dog"])(x), name="words")


def binary(raw):
    head = (
        b'{"inputs": [{"name": "word", "shape": [1, 2], "datatype": "BYTES", "parameters": {"binary_data_size": %d}}]}'
        % len(raw)
    )
    return head + raw, {"inference-header-content-length": str(len(head))}


def behind_lengths(*parts):
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


@pytest.mark.parametrize(
    "value, said",
    [
        (["cat", {"b64": "!"}], "'!' is not base64"),
        (["cat", {"b64": base64.b64encode(b"\xff").decode()}], "expected strings in UTF-8, got other bytes"),
        (["cat", 3], "expected strings, got 3"),
    ],
)
def test_strings_that_are_none(value, said):
    with client({"words": words()}) as asked:
        reply = asked.ask("POST", "/v1/models/words:predict", {"instances": [value]})
        assert (reply.status, said in reply.error) == (400, True), reply.error
        good = [["cat", {"b64": base64.b64encode(b"dog").decode()}]]
        assert asked.ask("POST", "/v1/models/words:predict", {"instances": good}).json["predictions"] == [[1, 2]]


@pytest.mark.parametrize(
    "raw, said",
    [
        (behind_lengths(b"cat", b"dog")[:-1], "its strings end in the middle of one"),
        (behind_lengths(b"cat", b"dog") + b"\1", "its strings end in the middle of one"),
        (behind_lengths(b"cat"), "expected 2 strings, got 1"),
        (behind_lengths(b"cat", b"\xff"), "expected strings in UTF-8"),
        (behind_lengths(b"cat", b"dog"), ""),
    ],
)
def test_packed_strings(raw, said):
    body, headers = binary(raw)
    with client({"words": words()}) as asked:
        reply = asked.ask("POST", "/v2/models/words/infer", body, headers=headers)
        if said:
            assert (reply.status, said in reply.error) == (400, True), reply.error
        else:
            assert reply.json["outputs"][0]["data"] == [1, 2]


def test_rows_of_strings_run_together():
    batches = Batches(KerasRunner(words()), 4)
    jobs = [[np.array([["cat", "dog"]])], [np.array([["a longer word", "cat"], ["dog", "dog"]])]]
    assert [found[0].tolist() for found in batches(jobs)] == [[[1, 2]], [[0, 1], [2, 2]]]
