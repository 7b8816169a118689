"""Clients of others: NVIDIA's `tritonclient` for the Open Inference Protocol, and a client of TensorFlow Serving as its guide has it."""

import json
import threading
import urllib.request

import numpy as np
import pytest

from tests.serving.asking import net, rows, two_inputs

http = pytest.importorskip("tritonclient.http", reason="the judge of the protocol")
uvicorn = pytest.importorskip("uvicorn", reason="runs the application")


@pytest.fixture(scope="module")
def served():
    import time

    from mlkit import serving

    models = {"net": net(), "two": two_inputs()}
    server = uvicorn.Server(uvicorn.Config(serving.app(models), port=0, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = http.InferenceServerClient(f"127.0.0.1:{port}", concurrency=4)
    while not client.is_server_ready():
        time.sleep(0.05)
    yield client, models, port
    client.close()
    server.should_exit = True
    thread.join()


def test_what_there_is(served):
    client, *_ = served
    assert client.is_server_live()
    assert client.is_model_ready("net")
    assert client.is_model_ready("net", "1")
    assert not client.is_model_ready("nope")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("net")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert [m["name"] for m in client.get_model_repository_index()] == ["net", "two"]


def given(name, array, datatype, binary):
    tensor = http.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_inference(served, binary_in, binary_out, packed):
    client, models, _ = served
    a, b = rows(3, 2), np.array([0, 4, 2], "int32")
    inputs = [given("b", b, "INT32", binary_in), given("a", a, "FP32", binary_in)]
    outputs = [http.InferRequestedOutput(name, binary_data=binary_out) for name in ("out", "sum")]
    found = client.infer(
        "two", inputs, outputs=outputs, request_id="7", request_compression_algorithm=packed, timeout=20_000_000
    )
    assert found.get_response()["id"] == "7"
    for name, wanted in zip(("sum", "out"), models["two"].predict([a, b], verbose=0)):
        np.testing.assert_allclose(found.as_numpy(name), wanted, atol=1e-6)


def test_outputs_that_are_not_named(served):
    client, models, _ = served
    x = rows(2)
    found = client.infer("net", [given("x", x, "FP32", True)])
    np.testing.assert_allclose(found.as_numpy("y"), models["net"].predict(x, verbose=0), atol=1e-6)


def test_best_classes(served):
    client, models, _ = served
    x = rows(2)
    found = client.infer("net", [given("x", x, "FP32", True)], outputs=[http.InferRequestedOutput("y", class_count=2)])
    scores = models["net"].predict(x, verbose=0)
    best = [[row.decode().split(":")[1] for row in rows] for rows in found.as_numpy("y")]
    assert best == [[str(k) for k in np.argsort(-row)[:2]] for row in scores]


def test_many_at_once(served):
    client, models, _ = served
    x = rows(40)
    sent = [client.async_infer("net", [given("x", x[i : i + 1], "FP32", True)]) for i in range(40)]
    found = np.concatenate([s.get_result().as_numpy("y") for s in sent])
    np.testing.assert_allclose(found, models["net"].predict(x, verbose=0), atol=1e-6)


def test_errors_arrive_as_those_of_a_server(served):
    client, *_ = served
    with pytest.raises(http.InferenceServerException, match="there is no model 'nope'"):
        client.infer("nope", [given("x", rows(1), "FP32", True)])
    with pytest.raises(http.InferenceServerException, match=r"expected shape \(rows, 4\), got \(rows, 3\)"):
        client.infer("net", [given("x", rows(1, 3), "FP32", True)])


def test_as_a_client_of_tensorflow_serving(served):
    _, models, port = served
    x = rows(3)

    def post(path, body):
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(asked) as reply:
            return json.loads(reply.read())

    data = {"signature_name": "serving_default", "instances": x.tolist()}
    wanted = models["net"].predict(x, verbose=0)
    np.testing.assert_allclose(post("/v1/models/net:predict", data)["predictions"], wanted, atol=1e-6)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/net") as reply:
        assert json.loads(reply.read())["model_version_status"][0]["state"] == "AVAILABLE"
