"""Every row of the table of errors (docs/serving.md), with its exact words."""

import gzip
import json

import numpy as np
import pytest

import mlkit as keras
from mlkit import serving
from tests.serving.asking import client, hold, net, slow_client, two_inputs

V1, V2 = "/v1/models/net:predict", "/v2/models/net/infer"


@pytest.fixture(scope="module")
def asked():
    with client({"net": net(), "two": two_inputs()}, max_body=20_000) as found:
        yield found


@pytest.mark.parametrize(
    "method, path, status, words",
    [
        ("POST", "/v1/models/nope:predict", 404, "there is no model 'nope'; there are 'net', 'two'."),
        ("GET", "/v2/models/nope", 404, "there is no model 'nope'; there are 'net', 'two'."),
        ("POST", "/v1/models/net/versions/3:predict", 404, "model 'net' has no version '3' that is served; there is 1."),
        ("GET", "/v1/models/net/versions/x", 404, "model 'net' has no version 'x'; there are 1."),
        ("POST", "/v1/models/net:guess", 404, "there is no verb 'guess'; there are predict, classify, regress."),
        ("GET", "/v1/models/net:predict", 405, "/v1/models/net:predict is asked by POST, not GET."),
        ("DELETE", "/v2/health/live", 405, "/v2/health/live is asked by GET, not DELETE."),
    ],
)
def test_what_is_not_there(asked, method, path, status, words):
    reply = asked.ask(method, path, {"instances": [[0, 0, 0, 0]]})
    assert (reply.status, reply.error) == (status, words)


def test_unknown_paths_hear_which_there_are(asked):
    assert "there is no path '/v3'; there are POST /v1/models/{model}" in asked.ask("GET", "/v3").error


@pytest.mark.parametrize(
    "body, words",
    [
        (b"{", "the body is not valid JSON: Expecting property name"),
        (b'{"instances": [[0,0,0,\xff]]}', "the body is not valid JSON: "),
        (b"[1]", "the body must be a JSON object, got a list."),
        (b"[" * 15_000, "the body is"),
        ({"instances": [[1, 2, 3]]}, "input 'x': expected shape (rows, 4), got (rows, 3) with 1 rows."),
        ({"instances": [1, 2]}, "input 'x': expected shape (rows, 4), got (rows) with 2 rows."),
        (
            {"instances": [[0, 0, 0, 0], [0, 0]]},
            "expected rows of shape (rows, 4) of float32, got ragged rows: lists of lengths 2 and 4.",
        ),
        ({"instances": [[0, 0, 0, [1]]]}, "got ragged rows: lists beside single elements."),
        ({"instances": [["a", "b", "c", "d"]]}, "input 'x': expected float32, got strings."),
        ({"instances": [[True] * 4]}, "input 'x': expected float32, got booleans."),
        ({"instances": [[0, 0, 0, None]]}, "input 'x': expected rows of shape (rows, 4) of float32, got None."),
        ({"instances": [[0, 0, 0, 10**400]]}, "input 'x': "),
        ({"instances": []}, "'instances' must be a list of at least one row."),
        ({"inputs": []}, "input 'x': expected "),
        ({"inputs": 3}, "input 'x': expected a list of rows of shape (rows, 4), got 3."),
        ({"instances": [{"z": [0, 0, 0, 0]}]}, "instances[0]: there is no input 'z'; the model has 'x'."),
        ({"instances": [{"x": [0] * 4}, 3]}, "instances[1]: expected an object like those before it."),
        ({}, "the body needs either 'instances' (rows) or 'inputs' (columns)."),
        (
            {"instances": [[0] * 4], "more": 1},
            "the body has an unknown key 'more'; there are 'signature_name', 'instances', 'inputs'.",
        ),
        ({"instances": [[0] * 4], "signature_name": "s"}, "there is no signature 's'; the model has 'serving_default'."),
        (b'{"instances": [[0,0,0,NaN]]}', "input 'x': expected finite numbers of float32, got nan at [0, 3]."),
        (b'{"instances": [[0,0,0,-Infinity]]}', "input 'x': expected finite numbers of float32, got -inf at [0, 3]."),
        ({"instances": [[0, 0, 0, 1e39]]}, "input 'x': expected finite numbers of float32, got inf at [0, 3]."),
    ],
)
def test_v1_bodies(asked, body, words):
    reply = asked.ask("POST", V1, body)
    assert reply.status == 400
    assert words in reply.error


@pytest.mark.parametrize(
    "body, words",
    [
        ({"inputs": {"a": [[0, 0]]}}, "input 'b' is missing; the model takes 'a', 'b'."),
        ({"inputs": [[0, 0]]}, "'inputs' must be an object of 2 columns by name: 'a', 'b'."),
        ({"instances": [[0, 0]]}, "each of 'instances' must be an object by name: 'a', 'b'."),
        ({"inputs": {"a": [[0, 0]], "b": [1, 2]}}, "all inputs need the same number of rows, got 'a' 1, 'b' 2."),
        ({"inputs": {"a": [[0, 0]], "b": [0.5]}}, "input 'b': expected int32, got numbers with fractions."),
        (
            {"inputs": {"a": [[0, 0]], "b": [2**31]}},
            "input 'b': expected int32, from -2147483648 to 2147483647, got 2147483648",
        ),
    ],
)
def test_v1_bodies_of_several_inputs(asked, body, words):
    reply = asked.ask("POST", "/v1/models/two:predict", body)
    assert reply.status == 400
    assert words in reply.error


def x(**own):
    return {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [0, 0, 0, 0], **own}


@pytest.mark.parametrize(
    "one, words",
    [
        (x(name="z"), "there is no input 'z'; the model has 'x'."),
        (x(shape=[1, 3]), "input 'x': shape [1, 3] needs 3 elements, got 4."),
        (x(shape=[2, 2]), "input 'x': expected shape (rows, 4), got (rows, 2) with 2 rows."),
        (x(shape=[-1, 4]), "input 'x': 'shape' must be a list of sizes like (rows, 4), got [-1, 4]."),
        (x(shape=[True, 4]), "'shape' must be a list of sizes"),
        (x(datatype="INT32"), "input 'x': expected datatype FP32, got 'INT32'."),
        (x(data="0000"), "input 'x': expected a list of rows of shape (rows, 4), got '0000'."),
        (x(parameters={"binary_data_size": 16}), "input 'x': binary_data_size is 16, and 0 bytes are left in the body."),
        (x(parameters=3), "'parameters' of input 'x' must be an object."),
        (x(more=3), "input 'x' has an unknown key 'more'"),
        (3, "'inputs' must be a list of objects with a 'name' each."),
    ],
)
def test_v2_bodies(asked, one, words):
    reply = asked.ask("POST", V2, {"inputs": [one]})
    assert reply.status == 400
    assert words in reply.error


@pytest.mark.parametrize(
    "own, words",
    [
        ({"outputs": [{"name": "z"}]}, "there is no output 'z'; the model gives 'y'."),
        (
            {"outputs": [{"name": "y", "parameters": {"classification": -1}}]},
            "output 'y': 'classification' must be a number of classes",
        ),
        ({"inputs": [x(), x()]}, "'inputs' names a tensor twice."),
        ({"id": 3}, "'id' must be a string, got 3."),
        ({"parameters": {"timeout": "1"}}, "parameter 'timeout' must be a whole number of microseconds, got '1'."),
    ],
)
def test_v2_bodies_around_the_inputs(asked, own, words):
    reply = asked.ask("POST", V2, {"inputs": [x()], **own})
    assert reply.status == 400
    assert words in reply.error


@pytest.mark.parametrize(
    "size, tail, length, words",
    [
        (12, 12, None, "input 'x': shape [1, 4] of float32 needs 16 bytes, got 12."),
        (16, 12, None, "input 'x': binary_data_size is 16, and 12 bytes are left in the body."),
        (16, 20, None, "the body has 20 bytes of tensors, and binary_data_size accounts for 16."),
        (-1, 16, None, "input 'x': binary_data_size is -1"),
        (16, 16, "9999", "Inference-Header-Content-Length is '9999', the body has"),
        (16, 16, "x", "Inference-Header-Content-Length is 'x', the body has"),
    ],
)
def test_v2_binary_sizes(asked, size, tail, length, words):
    one = {k: v for k, v in x(parameters={"binary_data_size": size}).items() if k != "data"}
    head = json.dumps({"inputs": [one]}).encode()
    reply = asked.ask("POST", V2, head + bytes(tail), {"Inference-Header-Content-Length": length or str(len(head))})
    assert reply.status == 400
    assert words in reply.error


def test_bytes_that_are_not_finite(asked):
    one = {k: v for k, v in x(parameters={"binary_data_size": 16}).items() if k != "data"}
    head = json.dumps({"inputs": [one]}).encode()
    raw = np.array([0, np.nan, 0, 0], "<f4").tobytes()
    reply = asked.ask("POST", V2, head + raw, {"Inference-Header-Content-Length": str(len(head))})
    assert (reply.status, "got nan at [0, 1]" in reply.error) == (400, True)


def test_allow_nonfinite():
    with client({"net": net()}, allow_nonfinite=True) as found:
        reply = found.ask("POST", V1, b'{"instances": [[0,0,0,NaN]]}')
        assert reply.status == 200
        assert np.isnan(reply.json["predictions"]).all()


@pytest.mark.parametrize(
    "body, headers",
    [
        (bytes(20_001), {}),
        (b"", {"Content-Length": "20001"}),
        ([bytes(15_000), bytes(15_000)], {}),
        (gzip.compress(bytes(100_000)), {"Content-Encoding": "gzip"}),
    ],
    ids=["whole", "announced", "in parts", "packed"],
)
def test_bodies_that_are_too_large(asked, body, headers):
    reply = asked.ask("POST", V1, body, headers)
    words = "the body is larger than 20000 bytes; a server started with a larger --max-body takes it."
    assert (reply.status, reply.error) == (413, words)


def test_encodings_that_are_not_known(asked):
    reply = asked.ask("POST", V1, b"", {"Content-Encoding": "br"})
    assert (reply.status, reply.error) == (415, "Content-Encoding 'br' is not known; there are gzip and deflate.")
    for body in (b"no gzip", gzip.compress(b"{}" * 50)[:20]):
        assert asked.ask("POST", V1, body, {"Content-Encoding": "gzip"}).status == 400


def test_a_full_queue(monkeypatch):
    with slow_client(monkeypatch, max_queue=2) as (asked, runner):
        first = hold(asked, runner)
        waiting = [asked.send("POST", "/v1/models/slow:predict", {"instances": [[i, 0]]}) for i in (1, 2)]
        reply = asked.ask("POST", "/v1/models/slow:predict", {"instances": [[3, 0]]})
        assert (reply.status, reply.error) == (503, "model 'slow': the queue is full, 2 requests are waiting.")
        assert reply.headers["retry-after"] == "1"
        runner.go.set()
        assert [f.result(10).json["predictions"] for f in (first, *waiting)] == [[[0, 0]], [[2, 0]], [[4, 0]]]


def test_models_that_are_not_ready(tmp_path):
    (tmp_path / "net" / "1").mkdir(parents=True)
    (tmp_path / "net" / "1" / "model.keras").write_bytes(b"nothing")
    with client({}, folder=str(tmp_path)) as found:
        for method, path in (
            ("POST", V1),
            ("GET", "/v2/models/net/ready"),
            ("GET", "/v2/health/ready"),
            ("GET", "/v2/models/net"),
        ):
            reply = found.ask(method, path, {"instances": [[0]]})
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert "version 1: ModelFileError: " in reply.error
        assert found.ask("GET", "/v2/health/live").status == 200
        (state,) = found.ask("GET", "/v1/models/net").json["model_version_status"]
        assert (state["state"], "ModelFileError" in state["status"]["error_message"]) == ("END", True)


def test_an_application_within_another(asked):
    assert asked.ask("POST", V1, {"instances": [[0] * 4]}, root="/ml").status == 200


def test_a_server_that_ends():
    with client({"net": net()}) as found:
        assert found.app.store.stop(10)
        reply = found.ask("POST", V1, {"instances": [[0] * 4]})
        assert (reply.status, reply.error) == (503, "the server is ending.")


def test_a_token():
    with client({"net": net()}, token="secret") as found:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
            reply = found.ask("POST", V1, {"instances": [[0] * 4]}, headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert found.ask("POST", V1, {"instances": [[0] * 4]}, {"Authorization": "Bearer secret"}).status == 200
        assert found.ask("GET", "/metrics").status == 401
        assert found.ask("GET", "/v2/health/live").status == 200


@pytest.mark.parametrize(
    "models, options, words",
    [
        ({}, {}, "there is nothing to serve"),
        ({"a/b": net()}, {}, "'a/b' cannot be the name of a model"),
        ({"net": 3}, {}, "'net' must be a model, a file or a folder of versions, but got int"),
        ({"net": "nowhere.keras"}, {}, "there is no file or folder 'nowhere.keras'"),
        ({"net": __file__}, {}, "expected a .keras or .onnx file"),
        ({"net": net()}, {"max_batch_size": 0}, "`max_batch_size` must be a positive int, but got 0"),
        ({"net": net()}, {"timeout": float("nan")}, "`timeout` must be a positive number of seconds"),
        ({"net": net()}, {"memory_limit": 0}, "`memory_limit` must be a positive number of bytes or None, but got 0"),
        ({"net": net()}, {"token": ""}, "`token` must not be empty"),
        ({}, {"folder": "nowhere"}, "there is no folder 'nowhere'"),
    ],
)
def test_what_app_refuses(models, options, words):
    with pytest.raises((ValueError, FileNotFoundError), match="serving: ") as error:
        serving.app(models, **options)
    assert words in str(error.value)


def test_models_that_do_not_tell_their_inputs():
    class Own(keras.Model):
        def call(self, x):
            return x

    with client({"own": Own()}) as found:
        assert "does not tell its inputs" in found.ask("POST", "/v1/models/own:predict", {"instances": [1]}).error


def test_faults_of_the_server_are_500_and_logged(asked, monkeypatch, caplog):
    def broken(self):
        raise RuntimeError("a secret")

    monkeypatch.setattr(type(asked.app.metrics), "text", lambda *_: broken(None))
    reply = asked.ask("GET", "/metrics")
    assert (reply.status, reply.error) == (500, "the server failed; its log says how.")
    assert "a secret" in caplog.text
