"""Requests that nobody would write: each is answered, and none by 500."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.asking import client, net, two_inputs

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
NAMES = st.sampled_from(["net", "two", "x", "y", "a", "b", "sum", "out", "1", "2", "", "%", "instances", "é\n"])
NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.sampled_from([0, 1, 4, 2**31, 2**63, 1e39, -1]))
VALUES = st.recursive(
    st.one_of(NUMBERS, NAMES),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(NAMES | st.just("b64"), inner, max_size=3)),
    max_leaves=20,
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "a", "b", "z"]) | VALUES,
        "shape": st.lists(st.sampled_from([0, 1, 2, 4, -1, 2**40, 1.5]), max_size=4) | VALUES,
        "datatype": st.sampled_from(["FP32", "INT32", "BYTES", "FP16"]) | VALUES,
        "data": st.lists(NUMBERS, max_size=8) | VALUES,
        "parameters": st.dictionaries(
            st.sampled_from(["binary_data_size", "classification", "binary_data"]), NUMBERS, max_size=2
        )
        | VALUES,
    },
)
V2 = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=3) | VALUES},
    optional={
        "id": VALUES,
        "outputs": st.lists(TENSOR, max_size=2) | VALUES,
        "parameters": st.dictionaries(st.sampled_from(["timeout", "binary_data_output"]), NUMBERS) | VALUES,
    },
)
KEYS = st.sampled_from(["instances", "inputs", "examples", "context", "signature_name", "outputs"])
V1 = st.dictionaries(KEYS, VALUES | st.lists(st.lists(NUMBERS, min_size=4, max_size=4), min_size=1, max_size=3), max_size=3)


@pytest.fixture(scope="module")
def asked():
    with client({"net": net(), "two": two_inputs()}, max_body=4000, max_batch_size=4) as found:
        yield found


def check(reply):
    assert reply.status in (200, 400, 404, 405, 413, 415)
    assert reply.status == 200 or list(json.loads(reply.body)) == ["error"]


@SETTINGS
@given(body=V1, model=st.sampled_from(["net", "two"]), verb=st.sampled_from(["predict", "classify", "regress"]))
def test_v1(asked, body, model, verb):
    check(asked.ask("POST", f"/v1/models/{model}:{verb}", body))


@SETTINGS
@given(body=V2, tail=st.binary(max_size=40), model=st.sampled_from(["net", "two"]), cut=st.integers(-3, 3) | st.none())
def test_v2(asked, body, tail, model, cut):
    text = json.dumps(body).encode()
    headers = {} if cut is None else {"Inference-Header-Content-Length": str(len(text) + cut)}
    check(asked.ask("POST", f"/v2/models/{model}/infer", text + tail, headers))


@SETTINGS
@given(
    body=st.binary(max_size=300),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD"]),
    parts=st.lists(NAMES, max_size=6),
    encoding=st.sampled_from([None, "gzip", "deflate", "br"]),
    length=st.sampled_from([None, "10", "x", "9" * 5000]),
)
def test_anything(asked, body, method, parts, encoding, length):
    headers = {k: v for k, v in (("Content-Encoding", encoding), ("Content-Length", length)) if v is not None}
    for path in ("/" + "/".join(parts), "/v1/models/net:predict"):
        check(asked.ask(method, path, body, headers))


@pytest.mark.parametrize("depth", [50, 900, 1900])
def test_nesting(asked, depth):
    for body in ("[" * depth + "0" + "]" * depth, '{"instances": ' * 10 + "[" * depth + "]" * depth + "}" * 10):
        check(asked.ask("POST", "/v1/models/net:predict", body.encode()))
        check(asked.ask("POST", "/v1/models/net:predict", f'{{"instances": [{body}]}}'.encode()))
        check(asked.ask("POST", "/v2/models/net/infer", f'{{"inputs": [{body}]}}'.encode()))
