"""Both protocols: what goes in and comes out, against `predict`."""

import gzip
import json
import random
import struct

import numpy as np
import pytest

import mlkit as keras
from mlkit.serving import json_body, tensors
from mlkit.serving.contract import RequestError
from tests.serving.asking import client, net, rows, two_inputs

V1, V2 = "/v1/models/net:predict", "/v2/models/net/infer"


@pytest.fixture(scope="module")
def nets():
    one, two, number = net(), two_inputs(), net(units=1)
    one.image_task = keras.models.ImageTask(["cat", "dog", "bird"], image_size=(2, 2))
    with client({"net": one, "two": two, "number": number}, max_batch_size=8) as asked:
        yield asked, one, two, number


def close(a, b):
    np.testing.assert_allclose(np.asarray(a, "float32"), b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 8, 9, 21])
def test_rows_and_columns(nets, n):
    asked, model, *_ = nets
    x = rows(n)
    wanted = model.predict(x, verbose=0)
    close(asked.ask("POST", V1, {"instances": x.tolist()}).json["predictions"], wanted)
    close(asked.ask("POST", V1, {"instances": [{"x": row} for row in x.tolist()]}).json["predictions"], wanted)
    close(asked.ask("POST", V1, {"inputs": x.tolist()}).json["outputs"], wanted)
    close(asked.ask("POST", V1, {"inputs": {"x": x.tolist()}, "signature_name": "serving_default"}).json["outputs"], wanted)


def test_several_inputs_and_outputs(nets):
    asked, _, two, _ = nets
    a, b = rows(3, 2), np.array([0, 4, 2], "int32")
    wanted = two.predict([a, b], verbose=0)
    path = "/v1/models/two/versions/1:predict"
    reply = asked.ask("POST", path, {"instances": [{"a": i, "b": j} for i, j in zip(a.tolist(), b.tolist())]})
    for name, w in zip(("sum", "out"), wanted):
        close([row[name] for row in reply.json["predictions"]], w)
    reply = asked.ask("POST", path, {"inputs": {"b": b.tolist(), "a": a.tolist()}})
    for name, w in zip(("sum", "out"), wanted):
        close(reply.json["outputs"][name], w)


def test_classify_and_regress(nets):
    asked, model, _, number = nets
    x = rows(2)
    examples = {"examples": [{"x": row} for row in x.tolist()]}
    found = asked.ask("POST", "/v1/models/net:classify", examples).json["results"]
    assert [label for label, _ in found[0]] == ["cat", "dog", "bird"]
    close([[score for _, score in row] for row in found], model.predict(x, verbose=0))
    close(asked.ask("POST", "/v1/models/number:regress", examples).json["results"], number.predict(x, verbose=0)[:, 0])
    common = {"context": {"x": x[0].tolist()}, "examples": [{}]}
    close(asked.ask("POST", "/v1/models/number:regress", common).json["results"], number.predict(x[:1], verbose=0)[:, 0])
    assert "regress needs one output with one number a row" in asked.ask("POST", "/v1/models/net:regress", examples).error


def test_status_and_metadata(nets):
    asked, *_ = nets
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/net", "/v1/models/net/versions/1"):
        assert asked.ask("GET", path).json == {"model_version_status": [status]}
    signature = asked.ask("GET", "/v1/models/two/metadata").json["metadata"]["signature_def"]["signature_def"][
        "serving_default"
    ]
    assert signature["inputs"]["b"]["dtype"] == "DT_INT32"
    assert [d["size"] for d in signature["outputs"]["sum"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert asked.ask("GET", "/v2/models/two").json == {
        "name": "two",
        "versions": ["1"],
        "platform": "mlkit",
        "inputs": [{"name": "a", "datatype": "FP32", "shape": [-1, 2]}, {"name": "b", "datatype": "INT32", "shape": [-1]}],
        "outputs": [
            {"name": "sum", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "out", "datatype": "FP32", "shape": [-1, 1]},
        ],
    }
    assert asked.ask("GET", "/v2").json["extensions"] == ["binary_tensor_data", "classification", "model_repository"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/net/ready", "/v2/models/net/versions/1/ready"):
        assert asked.ask("GET", path).status == 200
    index = asked.ask("POST", "/v2/repository/index").json
    assert {(m["name"], m["version"], m["state"]) for m in index} == {(n, "1", "READY") for n in ("net", "two", "number")}


def tensor(x, **own):
    return {"name": "x", "shape": list(x.shape), "datatype": "FP32", **own}


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_v2_with_json(nets, form):
    asked, model, *_ = nets
    x = rows(3)
    data = x.ravel().tolist() if form == "flat" else x.tolist()
    reply = asked.ask("POST", V2, {"id": "7", "inputs": [tensor(x, data=data)]}).json
    assert (reply["id"], reply["model_name"], reply["model_version"]) == ("7", "net", "1")
    (out,) = reply["outputs"]
    assert (out["name"], out["shape"], out["datatype"]) == ("y", [3, 3], "FP32")
    close(np.reshape(out["data"], (3, 3)), model.predict(x, verbose=0))


def test_v2_with_bytes(nets):
    asked, _, two, _ = nets
    a, b = rows(3, 2), np.array([0, 4, 2], "int32")
    head = {
        "inputs": [
            {"name": "b", "shape": [3], "datatype": "INT32", "parameters": {"binary_data_size": 12}},
            {"name": "a", "shape": [3, 2], "datatype": "FP32", "parameters": {"binary_data_size": 24}},
        ],
        "outputs": [{"name": "out", "parameters": {"binary_data": False}}, {"name": "sum"}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    reply = asked.ask("POST", "/v2/models/two/infer", text + b.tobytes() + a.tobytes(), headers)
    length = int(reply.headers["inference-header-content-length"])
    out, total = json.loads(reply.body[:length])["outputs"]
    wanted = two.predict([a, b], verbose=0)
    close(out["data"], wanted[1].ravel())
    assert (total["name"], total["parameters"]) == ("sum", {"binary_data_size": 24})
    np.testing.assert_array_equal(np.frombuffer(reply.body[length:], "<f4").reshape(3, 2), wanted[0])


def test_v2_best_classes(nets):
    asked, model, *_ = nets
    x = rows(2)
    wanted = {"inputs": [tensor(x, data=x.tolist())], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
    (out,) = asked.ask("POST", V2, wanted).json["outputs"]
    scores = model.predict(x, verbose=0)
    assert (out["datatype"], out["shape"]) == ("BYTES", [2, 2])
    best = int(scores[0].argmax())
    assert out["data"][0] == f"{scores[0, best]:f}:{best}:{model.class_names[best]}"
    wanted["outputs"][0]["parameters"]["binary_data"] = True
    reply = asked.ask("POST", V2, wanted)
    raw = reply.body[int(reply.headers["inference-header-content-length"]) :]
    (length,) = struct.unpack_from("<I", raw)
    assert raw[4 : 4 + length].decode() == out["data"][0]


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("identity", bytes)])
def test_packed_bodies(nets, encoding, pack):
    asked, *_ = nets
    body = pack(json.dumps({"instances": [[0, 0, 0, 0]]}).encode())
    assert asked.ask("POST", V1, body, {"Content-Encoding": encoding}).status == 200


def test_bodies_in_parts(nets):
    asked, *_ = nets
    body = json.dumps({"instances": [[0, 0, 0, 0]]}).encode()
    assert asked.ask("POST", V1, [body[:5], b"", body[5:]]).status == 200


def test_large_bodies_and_answers_are_the_same(nets):
    asked, model, *_ = nets
    x = rows(7000)
    found = asked.ask("POST", V1, {"instances": x.tolist()}).json["predictions"]
    close(found, model.predict(x, verbose=0))


def test_strings_go_to_models_that_begin_with_them():
    x = keras.Input((), dtype="string", name="word")
    h = keras.layers.StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")(x)
    with client({"words": keras.Model(x, keras.layers.Rescaling(1.0, name="y")(h))}) as asked:
        wanted = [[0, 1, 0], [1, 0, 0]]
        for row in ("red", {"b64": "cmVk"}):
            assert asked.ask("POST", "/v1/models/words:predict", {"instances": [row, "none"]}).json["predictions"] == wanted
        raw = struct.pack("<I", 3) + b"red" + struct.pack("<I", 4) + b"none"
        one = {"name": "word", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
        head = json.dumps({"inputs": [one]}).encode()
        reply = asked.ask("POST", "/v2/models/words/infer", head + raw, {"Inference-Header-Content-Length": str(len(head))})
        assert np.reshape(reply.json["outputs"][0]["data"], (2, 3)).tolist() == wanted


def test_free_sizes():
    x = keras.Input((None, 2), name="steps")
    model = keras.Model(x, keras.layers.LSTM(3, name="y")(x))
    with client({"net": model}) as asked:
        for steps in (4, 7):
            given = np.ones((2, steps, 2), "float32")
            close(asked.ask("POST", V1, {"instances": given.tolist()}).json["predictions"], model.predict(given, verbose=0))
        assert (
            "expected shape (rows, any, 2), got (rows, 3) with 1 rows"
            in asked.ask("POST", V1, {"instances": [[1, 2, 3]]}).error
        )


def test_half_floats_and_what_is_not_finite_come_as_json(nets):
    x = keras.Input((1,), name="x")
    model = keras.Model(x, keras.layers.Rescaling(1e30, dtype="bfloat16", name="y")(x))
    with client({"net": model}) as asked:
        assert asked.ask("POST", V1, {"instances": [[2.0], [3e9]]}).json["predictions"][1] == [float("inf")]


def test_metrics(nets):
    asked, *_ = nets
    asked.ask("POST", V1, {"instances": [[0, 0, 0, 0]]})
    asked.ask("POST", V1, {"instances": [[0]]})
    reply = asked.ask("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.decode().splitlines()
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}
    assert values['mlkit_requests_total{model="net",protocol="v1",code="400"}'] >= 1
    assert values['mlkit_request_seconds_count{model="net"}'] == sum(
        v for k, v in values.items() if k.startswith('mlkit_requests_total{model="net"')
    )
    assert values['mlkit_batch_rows_bucket{model="net",le="+Inf"}'] == values['mlkit_batch_rows_count{model="net"}']
    assert values['mlkit_model_bytes{model="net"}'] > 0


def test_lists_of_numbers_are_read_as_numpy_reads_them():
    rng = random.Random(0)

    def lists(depth):
        if depth:
            return [lists(depth - 1) for _ in range(rng.choice([2, 2, 2, 2, 2, 2, 1, 3, 0]))]
        return rng.choice([1, -2, 0.5, float("nan")] if rng.random() < 0.9 else [True, "a", None, 2**63, 10**30, []])

    read = 0
    for _ in range(3000):
        value = lists(rng.choice([1, 2, 3]))
        found = tensors._numbers(value)
        if found is not None:
            wanted = np.asarray(value)
            assert found.shape == wanted.shape
            assert found.dtype == wanted.dtype or wanted.dtype == object
            np.testing.assert_array_equal(found, wanted.astype(found.dtype))
            read += 1
    assert read > 500


@pytest.mark.parametrize("body", [
    '{"a": [1, 2.5e-3, -0, "\\u00e9"]}', '{"a": NaN}', '{"a": [1e400, -Infinity]}', '{"a": 1, "a": 2}', "[1]", "{", "", '{"a": 01}',
    '{"a": "\\ud800"}', "\ufeff{}", "[" * 2000, '{"a": ' + "[" * 1500 + "]" * 1500 + "}",
])  # fmt: skip
def test_bodies_are_the_same_whatever_reads_them(body, monkeypatch):
    pytest.importorskip("orjson", reason="it reads bodies where it is installed")

    def read():
        try:
            return repr(json_body.parsed(memoryview(body.encode())))
        except RequestError as error:
            return error.message

    fast = read()
    monkeypatch.setattr(json_body, "is_installed", lambda package: False)
    assert read() == fast
