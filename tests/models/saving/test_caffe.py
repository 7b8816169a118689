"""Files of Caffe are read as protobuf reads them, whatever else is refused in words, and their weights give our layers the same
answers."""

import contextlib
import io
import itertools
import time

import jax
import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.models.saving.caffe import stored, text
from mlkit.models.saving.caffe.network import read_network
from mlkit.objects.errors import ModelFileError

caffe = pytest.importorskip(
    "tests.models.saving.caffe_messages", reason="protobuf writes the files and judges", exc_type=ImportError
)

rng = np.random.default_rng(0)


def drawn(*shape):
    return rng.normal(size=shape).astype("float32")


NET = """
name: "small"  # as one to train with
input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer { name: "data" type: "Data" top: "data" include { phase: TRAIN } }
layer { name: "conv/a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 3 group: 1 } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "fc" type: "InnerProduct" bottom: "a" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" include: { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" exclude { phase: TRAIN } }
"""
ARRAYS = {"conv/a": [drawn(4, 3, 3, 3), drawn(4)], "fc": [drawn(5, 4 * 6 * 6), drawn(5)]}
LAYERS = [("conv/a", "Convolution", ARRAYS["conv/a"]), ("relu", "ReLU", []), ("fc", "InnerProduct", ARRAYS["fc"])]


@pytest.fixture
def files(tmp_path):
    """Writes a network and its weights, and reads them."""

    def load(data=None, net=NET, **options):
        (tmp_path / "net.prototxt").write_text(net)
        (tmp_path / "net.caffemodel").write_bytes(caffe.network(LAYERS).SerializeToString() if data is None else data)
        return mlkit.saving.load_caffe(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", **options)

    return load


def as_version_1(net):
    for name, old in (("Convolution", "CONVOLUTION"), ("InnerProduct", "INNER_PRODUCT"), ("ReLU", "RELU")):
        net = net.replace(f'"{name}"', old)
    return net.replace("layer {", "layers {").replace('"Data"', "DATA").replace('"Softmax', '"SOFTMAX').replace('LOSS"', "LOSS")


@pytest.mark.parametrize("version_1, legacy, doubles, packed", list(itertools.product([False, True], repeat=4)))
def test_all_forms_of_files(files, version_1, legacy, doubles, packed):
    net = caffe.network(LAYERS, version_1, legacy, doubles, packed)
    weights = files(net.SerializeToString(), as_version_1(NET) if version_1 else NET)
    assert list(weights) == ["conv/a", "fc"]
    for name, arrays in weights.items():
        for found, wanted in zip(arrays, ARRAYS[name], strict=True):
            assert found.dtype == ("float64" if doubles else "float32")
            np.testing.assert_array_equal(found, wanted)
    assert list(weights.layers) == ["conv/a", "relu", "fc", "prob"]
    conv = weights.layers["conv/a"]
    assert (conv.type, conv.bottoms, conv.tops) == ("Convolution", ("data",), ("a",))
    assert conv.setting("convolution_param", "num_output") == 4
    assert conv.setting("pooling_param", "pool", 7) == 7


def conv(x, kernel, bias, groups=1, stride=1):
    """A convolution as Caffe computes it: channels first."""
    y = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW"), feature_group_count=groups
    )
    return np.asarray(y) + bias[:, None, None]


def test_a_network_answers_as_with_channels_first(files):
    weights = files()
    model = mlkit.Sequential(
        [
            mlkit.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv_a"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, name="fc"),
        ]
    )
    assert weights.assign(model) == ["conv_a", "fc"]
    x = drawn(2, 3, 8, 8)
    kernel, bias = ARRAYS["fc"]
    wanted = np.maximum(conv(x, *ARRAYS["conv/a"]), 0).reshape(2, -1) @ kernel.T + bias
    np.testing.assert_allclose(model.predict(x.transpose(0, 2, 3, 1), verbose=0), wanted, rtol=1e-5, atol=1e-5)


NORMALIZED = """
layer { name: "grouped" type: "Convolution" bottom: "x" top: "g" convolution_param { num_output: 6 kernel_size: 3 group: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "g" top: "n" batch_norm_param { eps: 1e-3 } }
layer { name: "other" type: "Scale" bottom: "g" top: "o" scale_param { bias_term: true } }
layer { name: "scale" type: "Scale" bottom: "n" top: "n" scale_param { bias_term: true } }
layer { name: "prelu" type: "PReLU" bottom: "n" top: "n" }
layer { name: "depth" type: "Convolution" bottom: "n" top: "d"
  convolution_param { num_output: 12 kernel_size: 2 group: 6 bias_term: false } }
layer { name: "up" type: "Deconvolution" bottom: "d" top: "u"
  convolution_param { num_output: 3 kernel_size: 2 stride: 2 bias_term: false } }
layer { name: "fc" type: "InnerProduct" bottom: "u" top: "f" inner_product_param { num_output: 2 transpose: true bias_term: false } }
"""


def test_each_layer_that_has_a_counterpart(files):
    arrays = {
        "grouped": [drawn(6, 2, 3, 3), drawn(6)], "norm": [drawn(6), drawn(6) ** 2, np.float32([4])], "other": [drawn(6), drawn(6)],
        "scale": [drawn(6), drawn(6)], "prelu": [drawn(6)], "depth": [drawn(12, 1, 2, 2)], "up": [drawn(12, 3, 2, 2)],
        "fc": [drawn(3 * 8 * 8, 2)],
    }  # fmt: skip
    types = {name: layer.type for name, layer in read_network(NORMALIZED).items()}
    weights = files(caffe.network([(n, types[n], a) for n, a in arrays.items()]).SerializeToString(), NORMALIZED)
    model = mlkit.Sequential([
        mlkit.Input((7, 7, 4)), layers.Conv2D(6, 3, groups=2, name="grouped"), layers.BatchNormalization(epsilon=1e-3, name="norm"),
        layers.PReLU(shared_axes=[1, 2], name="prelu"), layers.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False, name="depth"),
        layers.Conv2DTranspose(3, 2, strides=2, use_bias=False, name="up"), layers.Reshape((-1,)),
        layers.Dense(2, use_bias=False, name="fc"),
    ])  # fmt: skip
    assert weights.assign(model) == ["grouped", "norm", "prelu", "depth", "up", "fc"]
    x = drawn(2, 4, 7, 7)
    mean, variance, factor = arrays["norm"]
    y = conv(x, *arrays["grouped"], groups=2)
    y = (y - mean[:, None, None] / factor) / np.sqrt(variance[:, None, None] / factor + 1e-3)
    y = y * arrays["scale"][0][:, None, None] + arrays["scale"][1][:, None, None]
    y = np.where(y > 0, y, arrays["prelu"][0][:, None, None] * y)
    y = conv(y, *arrays["depth"], np.zeros(12, "float32"), groups=6)
    y = np.einsum("nchw,cokl->nohkwl", y, arrays["up"][0]).reshape(2, 3, 8, 8)  # windows that do not overlap
    np.testing.assert_allclose(
        model.predict(x.transpose(0, 2, 3, 1), verbose=0), y.reshape(2, -1) @ arrays["fc"][0], rtol=1e-4, atol=1e-4
    )


def test_what_does_not_fit_changes_no_weight(files):
    weights = files()
    dense = layers.Dense(5, name="fc")
    dense.build((None, 144))
    with pytest.raises(ValueError, match="say image="):
        weights.for_layer(dense)
    in_our_order = ARRAYS["fc"][0].reshape(5, 4, 36).transpose(2, 1, 0).reshape(144, 5)
    np.testing.assert_array_equal(weights.for_layer(dense, image=(6, 6))[0], in_our_order)
    np.testing.assert_array_equal(weights.for_layer(dense, image=(1, 1))[0], ARRAYS["fc"][0].T)
    with pytest.raises(ValueError, match="144 inputs, which are no image of 7 x 7"):
        weights.for_layer(dense, image=(7, 7))
    with pytest.raises(
        ValueError, match="'fc' is a Dense, which takes those of a layer InnerProduct of Caffe; 'conv/a' is of type 'Conv"
    ):
        weights.for_layer(dense, "conv/a")
    with pytest.raises(ValueError, match="no layer 'fd' with weights; it has conv/a, fc"):
        weights.for_layer(dense, "fd")
    with pytest.raises(ValueError, match="build it"):
        weights.for_layer(layers.Dense(5), "fc")
    model = mlkit.Sequential(
        [
            mlkit.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv_a"),
            layers.Flatten(),
            layers.Dense(5, use_bias=False, name="fc"),
        ]
    )
    before = model.get_weights()
    with pytest.raises(ValueError, match="Make the layer with use_bias=True"):
        weights.assign(model)
    with pytest.raises(ValueError, match=r"has no layers \['x'\]"):
        weights.assign(model, {"x": "fc"})
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match="no layer of .* has one of Caffe's names: conv/a, fc"):
        weights.assign(mlkit.Sequential([mlkit.Input((3,)), layers.Dense(2, name="other")]))


@pytest.mark.parametrize("net, arrays, said", [
    (NET, {"fc": []}, r"'fc' \(InnerProduct\) should have 2 arrays, but has 0"),
    (NET, {"fc": [drawn(5, 144)]}, "should have 2 arrays, but has 1"),
    (NET, {"fc": [drawn(6, 144), drawn(6)]}, "do not fit its num_output of 5"),
    (NET, {"fc": [drawn(5, 144), drawn(5) * np.nan]}, "blob 1 of 'fc': it has NaN or infinite values. If they are meant"),
    (NET.replace('"InnerProduct"', '"Embed"'), {}, "'fc' is of type 'InnerProduct', in the network 'Embed'"),
])  # fmt: skip
def test_weights_that_do_not_fit_the_network(files, net, arrays, said):
    found = caffe.network([(n, t, arrays.get(n, a)) for n, t, a in LAYERS])
    with pytest.raises(ModelFileError, match=said):
        files(found.SerializeToString(), net)


def test_nan_may_be_meant(files):
    data = caffe.network([*LAYERS[:2], ("fc", "InnerProduct", [drawn(5, 144), drawn(5) * np.nan])]).SerializeToString()
    assert np.isnan(files(data, allow_nonfinite=True)["fc"][1]).all()


@pytest.mark.parametrize("net, said", [
    ("", "describes no layers"),
    ("layer { name: 'a' ", "line 1: expected the name of a field or '}', but found the end"),
    ("layer {\n name 'a' }", "line 2: expected ':' or '{', but found \"'a'\""),
    ("layer {\n name: }", "line 2: expected a value, but found '}'"),
    ("\n\n$", r"line 3: '\$' is no part"),
    ('layer { name: "a', "is no part of protobuf's text format"),
    ("a { " * 40, "more than 32 deep"),
    ("a: [[" * 40, "expected a value, but found '\\['"),
    ("layer: 3", "layer 0 is 3, but a layer is a message"),
    ("layer { type: 'A' }", "layer 0 .* needs a name and a type"),
    ("layer { name: 'a' type: 'A' } layer { name: 'a' type: 'B' }", "two layers are called 'a'"),
    ("layer { name: 'a' type: 'A' } layers { name: 'a' type: RELU }", "different versions"),
    ("layers { layer { name: 'a' type: 'conv' } }", "format of 2013"),
])  # fmt: skip
def test_bad_descriptions(files, net, said):
    with pytest.raises(ModelFileError, match=rf"net.prototxt: .*{said}"):
        files(net=net)


def test_the_text_format():
    found = text.parse(
        r"""a: -1 a: 2.5f a: 1e3 a: 0x10 a: 010 a: - 3 a: true a: WORD a: -inf, b: 'x\n\x41\101\'' "y" ;
        c <d: 1> e: { f: [] } g: [1, "s"]"""
    )
    assert found == {
        "a": [-1, 2.5, 1000.0, 16, 8, -3, True, "WORD", -float("inf")], "b": ["x\nAA'y"], "c": [{"d": [1]}], "e": [{"f": []}],
        "g": [1, "s"],
    }  # fmt: skip
    with pytest.raises(text.TextError, match="are allowed"):
        text.parse(" " * (text.MAX_TEXT + 1))


def test_files_in_the_wrong_places(files, tmp_path):
    files()
    with pytest.raises(ModelFileError, match=r"net.caffemodel: it is no text. The first file is the .prototxt"):
        mlkit.saving.load_caffe(tmp_path / "net.caffemodel", tmp_path / "net.prototxt")
    with pytest.raises(ModelFileError, match="net.prototxt"):
        mlkit.saving.load_caffe(tmp_path / "net.prototxt", tmp_path / "net.prototxt")
    with pytest.raises(ModelFileError, match="File not found"):
        mlkit.saving.load_caffe(tmp_path / "net.prototxt", tmp_path / "none")


def number(value):
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes(found) + bytes([value])


def sized(field, data):
    return number(field << 3 | 2) + number(len(data)) + data


def blob(data):
    return sized(100, sized(1, b"a") + sized(7, data))


@pytest.mark.parametrize("data, said", [
    (b"", "has no layers"),
    (b"\x00\x00", "field of number 0"),
    (b"\x0b", "wire type 3"),
    (b"\x08" + b"\xff" * 10, "more than 64 bits"),
    (b"\x08" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
    (number(100 << 3 | 2) + number(2**62), r"4,611,686,018,427,387,904 bytes, of which 0 are there"),
    (blob(sized(7, sized(1, number(2**31)))), "has a size that Caffe does not allow"),
    (blob(sized(7, sized(1, number(2**30) * 4))), "asks for .* numbers, but it has 0"),
    (blob(sized(7, sized(1, b"\0" + number(2**30)))) + b"\0", "field of number 0"),
    (blob(sized(7, sized(1, b"\1" * 33))), "more than 32 axes"),
    (blob(sized(5, b"\0" * 7)), "asks for 1 numbers, but it has 1.75"),
    (blob(b"\x08" + number(2**64 - 1)), "has a size that Caffe does not allow"),
    (sized(100, sized(1, b"\xff\xfe")), "no text in UTF-8"),
    (sized(2, sized(1, b"old")), "format of 2013"),
    (sized(100, b"") + sized(2, b""), "two versions"),
    (b"\x08\x01" * 100_001, "more fields than any network needs"),
    (sized(100, b"") * 20_001, "more than 20,000 layers"),
])  # fmt: skip
def test_hostile_bytes(files, data, said):
    start = time.process_time()
    with pytest.raises(ModelFileError, match=rf"net.caffemodel.*{said}"):
        files(data)
    assert time.process_time() - start < 4


def test_files_that_are_cut(files):
    data = caffe.network([*LAYERS[:2], ("fc", "InnerProduct", [drawn(5, 2), drawn(5)])], packed=False).SerializeToString()
    for end in range(0, len(data), 4):
        with pytest.raises(ModelFileError, match="net.caffemodel"):
            files(data[:end])


def read(data):
    """[(name, arrays)] of the layers as mlkit reads them, or None where it refuses."""
    try:
        return [(layer.name, layer.blobs) for layer in stored.read_layers(io.BytesIO(data), len(data), "f", True)]
    except ModelFileError:
        return None


def judged(data):
    """The same as protobuf's own library reads them; None where it refuses, or where shapes and numbers do not go together."""
    try:
        net = caffe.PACKED.FromString(data)
        found = []
        for layer in [*net.layers, *net.layer]:
            arrays = []
            for b in layer.blobs:
                legacy = any(b.HasField(axis) for axis in ("num", "channels", "height", "width"))
                shape = (b.num, b.channels, b.height, b.width) if legacy else tuple(b.shape.dim)
                arrays.append(np.array(b.double_data or b.data, "f8" if b.double_data else "f4").reshape(shape))
            found.append((layer.name.decode(), arrays))
        return found
    except Exception:
        return None


def test_damaged_files_are_read_as_protobuf_reads_them_or_refused():
    draw = np.random.default_rng(7)
    small = [("a", "Convolution", [drawn(2, 1, 1, 3), drawn(2)]), ("b", "InnerProduct", [drawn(2, 70), drawn(2)])]
    good = [caffe.network(small, *form).SerializeToString() for form in itertools.product([False, True], repeat=4)]
    accepted = refused = 0
    for _ in range(3000):
        data = bytearray(good[draw.integers(len(good))])
        for _ in range(draw.integers(1, 4)):
            at = int(draw.integers(min(40, len(data)) if draw.random() < 0.5 else len(data)))
            way = draw.integers(4)
            if way == 0:
                data[at] = draw.integers(256)
            elif way == 1:
                del data[at : at + int(draw.integers(1, 6))]
            elif way == 2:
                data[at:at] = draw.bytes(int(draw.integers(1, 6)))
            else:
                data[at] ^= 1 << int(draw.integers(8))
        found = read(bytes(data))
        if found is None:
            refused += 1
            continue
        accepted += 1
        wanted = judged(bytes(data))
        assert wanted is not None
        assert [n for n, _ in found] == [n for n, _ in wanted]
        for (_, ours), (_, theirs) in zip(found, wanted, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert a.dtype == b.dtype or not a.size
                np.testing.assert_array_equal(a, b)
    assert accepted > 200
    assert refused > 200


def test_drawn_text_is_parsed_or_refused():
    draw = np.random.default_rng(8)
    for _ in range(1500):
        words = list(NET)
        for _ in range(draw.integers(1, 5)):
            at = int(draw.integers(len(words)))
            words[at : at + int(draw.integers(0, 4))] = list(
                "{}<>[]:\"'\\#x0 -1e\n"[int(draw.integers(17)) :][: int(draw.integers(1, 4))]
            )
        with contextlib.suppress(text.TextError):
            read_network("".join(words))
