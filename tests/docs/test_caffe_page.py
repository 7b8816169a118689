"""The page docs/caffe.md runs, on files that protobuf's own library writes here."""

import pathlib
import re

import numpy as np
import pytest

caffe = pytest.importorskip("tests.models.saving.caffe_messages", reason="protobuf writes the files", exc_type=ImportError)

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "caffe.md"
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv/1" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "norm" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "scale" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "pool" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }
"""


def test_the_page(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    shapes = {
        "conv/1": ("Convolution", (8, 3, 3, 3), (8,)), "norm": ("BatchNorm", (8,), (8,), (1,)), "scale": ("Scale", (8,), (8,)),
        "fc": ("InnerProduct", (10, 128), (10,)),
    }  # fmt: skip
    net = caffe.network([(name, kind, [rng.random(s, "float32") for s in sizes]) for name, (kind, *sizes) in shapes.items()])
    (tmp_path / "deploy.prototxt").write_text(NET)
    (tmp_path / "net.caffemodel").write_bytes(net.SerializeToString())
    monkeypatch.chdir(tmp_path)
    text, namespace = PAGE.read_text(), {}
    for block in re.findall(r"```py\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/caffe.md", "exec"), namespace)
    said = capsys.readouterr().out
    assert re.search(r"```\n(.*?)```", text.partition("print(name")[2].partition("```")[2], re.DOTALL)[1] in said
    assert said.endswith("has ['conv_1', 'norm', 'fc']\n")
    kernel = np.array(net.layer[3].blobs[0].data, "float32").reshape(10, 8, 4, 4)
    np.testing.assert_array_equal(
        namespace["model"].get_layer("fc").get_weights()[0], kernel.transpose(2, 3, 1, 0).reshape(128, 10)
    )
