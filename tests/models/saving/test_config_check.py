"""The JSON of model files is parsed and checked within budgets."""

import json
import time
import tracemalloc

import pytest

from mlkit.models.saving import config_check
from mlkit.objects.errors import ModelFileError

L2 = {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.5}, "registered_name": None}


def nested(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


def layers(*entries):
    return {"module": "keras.regularizers", "class_name": "L2", "config": {"layers": list(entries)}}


BAD_JSON = {
    "empty": (b"", "not valid JSON"),
    "no JSON": (b"{'a': 1}", "not valid JSON"),
    "cut off": (b'{"a": [1, 2', "not valid JSON"),
    "no text": (b"\xff\xfe{}", "not valid JSON"),
    "list": (b"[]", "holds a list"),
    "very deep": (nested(100_000), "nested deeper|values in"),
    "long number": (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    "dense": (b'{"a": [' + b"[]," * 2_000_000 + b"1]}", "values in"),
    "large": (b'{"a": "' + b"x" * (65 * 2**20) + b'"}', "at most"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(name):
    data, words = BAD_JSON[name]
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ModelFileError, match=words):
        config_check.parse_json(data, "m.keras", "config.json")
    assert time.perf_counter() - start < 2
    assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + 2**20
    tracemalloc.stop()


BAD_CONFIG = {
    "deep": (json.loads(nested(70)), "nested deeper than 64"),
    "unknown class": (layers({}, {**L2, "class_name": "L7"}), r"config.layers\[1\]: unknown class 'L7'"),
    "foreign class": (layers({**L2, "module": "subprocess", "class_name": "Popen"}), "unknown class 'Popen' of module"),
    "foreign function": (layers({"module": "os", "class_name": "function", "config": "system"}), "unknown function 'system'"),
    "odd module": (layers({**L2, "module": "keras; import os"}), "no module name"),
    "unknown key": (layers({**L2, "hook": "x"}), "unknown key 'hook'"),
    "unknown operation": (layers({**L2, "module": "keras.src.ops.numpy", "class_name": "System"}), "no operation 'System'"),
    "function by a list": (layers({"module": "builtins", "class_name": "function", "config": ["a"]}), "name of a function"),
    "registered name": (layers({**L2, "registered_name": "eval"}), "resolved to a Keras built-in"),
    "registered name a number": (layers({**L2, "registered_name": 7}), "registered_name is 7, which is no name"),
    "many layers": (layers(*[{}] * 100_001), "100,001 layers"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CONFIG)
def test_bad_configs(name):
    config, words = BAD_CONFIG[name]
    start = time.perf_counter()
    with pytest.raises(ModelFileError, match=words):
        config_check.check_config(config, "m.keras", "config.json")
    assert time.perf_counter() - start < 2


def test_good_configs():
    config_check.check_config(layers(*[L2] * 10_000), "m.keras", "config.json")
    assert config_check.parse_json(b'{"a": [1, null]}', "m.keras", "config.json") == {"a": [1, None]}
