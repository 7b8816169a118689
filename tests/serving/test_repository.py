"""Folders for Triton and KServe: their structure, read with the fields of Triton's own description of them."""

import re

import numpy as np
import pytest

from mlkit import serving
from mlkit.serving.contract import TensorSpec
from mlkit.serving.repository import config_text
from tests.serving.asking import net, rows, two_inputs

TYPES = (
    "BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 STRING BF16".split()
)  # model_config.proto's DataType


def test_triton(tmp_path):
    pytest.importorskip("onnx", reason="writes the file")
    runtime = pytest.importorskip("onnxruntime", reason="runs it")
    model = two_inputs()
    folder = serving.write_repository(model, tmp_path, name="two", max_batch_size=16)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "two/1/model.onnx",
        "two/config.pbtxt",
    ]
    text = (tmp_path / "two" / "config.pbtxt").read_text()
    assert folder == str(tmp_path / "two")
    session = runtime.InferenceSession(tmp_path / "two" / "1" / "model.onnx")
    blocks = re.findall(r'(input|output) {\n  name: "(\w+)"\n  data_type: TYPE_(\w+)\n  dims: \[ (.*) \]\n}', text)
    assert [(kind, name) for kind, name, *_ in blocks] == [("input", "a"), ("input", "b"), ("output", "sum"), ("output", "out")]
    assert [t.name for t in (*session.get_inputs(), *session.get_outputs())] == [name for _, name, *_ in blocks]
    assert [(kind, dims) for _, _, kind, dims in blocks] == [("FP32", "2"), ("INT32", ""), ("FP32", "2"), ("FP32", "1")]
    a, b = rows(2, 2), np.array([1, 2], "int32")
    for found, wanted in zip(session.run(None, {"a": a, "b": b}), model.predict([a, b], verbose=0)):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_config_is_one_of_tritons():
    """By Google's own reader of such text."""
    protobuf = pytest.importorskip("google.protobuf", reason="reads the text")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    assert protobuf
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for number, name in enumerate(["INVALID", *TYPES]):
        kinds.value.add(name=f"TYPE_{name}", number=number)
    F = descriptor_pb2.FieldDescriptorProto
    tensor = file.message_type.add(name="Tensor")
    tensor.field.add(name="name", number=1, type=F.TYPE_STRING, label=1)
    tensor.field.add(name="data_type", number=2, type=F.TYPE_ENUM, type_name=".DataType", label=1)
    tensor.field.add(name="dims", number=3, type=F.TYPE_INT64, label=3)
    batching = file.message_type.add(name="Batching")
    batching.field.add(name="max_queue_delay_microseconds", number=2, type=F.TYPE_UINT64, label=1)
    config = file.message_type.add(name="ModelConfig")
    for number, name in enumerate(("name", "backend", "default_model_filename"), 1):
        config.field.add(name=name, number=number, type=F.TYPE_STRING, label=1)
    config.field.add(name="max_batch_size", number=4, type=F.TYPE_INT32, label=1)
    for number, name in ((5, "input"), (6, "output")):
        config.field.add(name=name, number=number, type=F.TYPE_MESSAGE, type_name=".Tensor", label=3)
    config.field.add(name="dynamic_batching", number=11, type=F.TYPE_MESSAGE, type_name=".Batching", label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("ModelConfig"))()
    specs = [TensorSpec("a", "float32", (2, None)), TensorSpec("b", "string", ())]
    text_format.Parse(config_text('odd "name"', specs, specs, 4), made)
    assert (made.name, made.max_batch_size, [list(t.dims) for t in made.input]) == ('odd "name"', 4, [[2, -1], []])
    assert made.HasField("dynamic_batching")


def test_kserve(tmp_path):
    pytest.importorskip("onnx", reason="writes the file")
    pytest.importorskip("onnxruntime", reason="checks it")
    serving.write_repository(net(), tmp_path, "kserve", name="net", storage_uri="pvc://models/repository")
    lines = (tmp_path / "net.yaml").read_text().splitlines()
    assert lines[:4] == ["apiVersion: serving.kserve.io/v1beta1", "kind: InferenceService", "metadata:", "  name: net"]
    assert '      storageUri: "pvc://models/repository"' in lines


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(kind="torchserve"), "`kind` must be one of 'triton', 'kserve'"),
        (dict(kind="kserve"), "storage_uri="),
        (dict(kind="kserve", name="Net_1", storage_uri="s3://b"), "'Net_1' cannot be the name"),
        (dict(name="../net"), "'../net' cannot be the name"),
    ],
)
def test_what_is_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match="write_repository: ") as error:
        serving.write_repository(net(), tmp_path / "new", **options)
    assert words in str(error.value)
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_taken(tmp_path):
    (tmp_path / "net").mkdir()
    with pytest.raises(FileExistsError, match="there is"):
        serving.write_repository(net(), tmp_path, name="net")
