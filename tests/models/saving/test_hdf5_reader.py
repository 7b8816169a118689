"""HDF5 files that point elsewhere, declare what they do not hold or hold what is no tensor are refused."""

import io
import random
import time

import numpy as np
import pytest

from mlkit.models.saving.hdf5_reader import TensorFile, is_finite
from mlkit.objects.errors import ModelFileError

h5py = pytest.importorskip("h5py")
WEIGHT = np.arange(12, dtype="float32").reshape(3, 4)


def made(fill, **options):
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as f:
        fill(f)
    return file.getvalue()


def external_storage(f):
    f.create_dataset("w", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(f):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "w", (4,))
    f.create_virtual_dataset("w", layout)


def cycle(f):
    f.create_group("a")["b"] = f["/"]


def aliased(f):
    f["w"] = WEIGHT
    f["v"] = f["w"]


def unwritten_chunks(f):
    f.create_dataset("w", (10**9, 10**3), "f4", chunks=(100, 100), compression="gzip")


def bomb(f):
    f.create_dataset("w", (2**12, 2**12), "f4", compression="gzip", data=np.zeros((2**12, 2**12), "f4"))


def of_named_type(f):
    f["t"] = np.dtype("f4")
    f.create_dataset("w", (2,), f["t"])


def deep(f):
    for _ in range(200):
        f = f.create_group("g")


def unknown_filter(f):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4,))
    plist.set_filter(4242, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(f.id, b"w", h5py.h5t.NATIVE_FLOAT, space, plist)


BAD = {
    "soft link": (lambda f: f.__setitem__("w", h5py.SoftLink("/v")), "SoftLink"),
    "external link": (lambda f: f.__setitem__("w", h5py.ExternalLink("other.h5", "/v")), "ExternalLink"),
    "external storage": (external_storage, "another file"),
    "virtual": (virtual, "superblock|another file"),
    "cycle": (cycle, "cycle"),
    "alias": (aliased, "several names"),
    "strings": (lambda f: f.create_dataset("w", data=["a", "b"], dtype=h5py.string_dtype()), "type"),
    "references": (lambda f: f.create_dataset("w", data=[f.ref], dtype=h5py.ref_dtype), "type"),
    "ragged": (lambda f: f.create_dataset("w", (2,), h5py.vlen_dtype("i4")), "type"),
    "records": (lambda f: f.create_dataset("w", (2,), [("a", "f4"), ("b", "i4")]), "type"),
    "opaque": (lambda f: f.create_dataset("w", (2,), "V16"), "type"),
    "other byte order": (lambda f: f.create_dataset("w", data=WEIGHT.astype(">f4")), "type"),
    "no shape": (lambda f: f.create_dataset("w", data=h5py.Empty("f4")), "no shape"),
    "named type": (lambda f: f.__setitem__("w", np.dtype("f4")), "neither"),
    "of a named type": (of_named_type, "named type"),
    "newer form": (lambda f: f.create_group("g", track_order=True), "unknown version"),
    "never written": (lambda f: f.create_dataset("w", (10**6, 10**6), "f4"), "are stored"),
    "unwritten chunks": (unwritten_chunks, "chunks|compressed"),
    "bomb": (bomb, "compressed"),
    "unknown filter": (unknown_filter, "filtered"),
    "bad name": (lambda f: f.__setitem__("naïve", WEIGHT), "newer form"),
    "parent": (lambda f: f.id.links and f.create_group("..x").create_dataset("con", data=WEIGHT), "not allowed"),
    "case": (lambda f: (f.create_group("Dense"), f.create_group("dense")), "twice"),
    "deep": (deep, "nested"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(name):
    fill, words = BAD[name]
    data = made(fill)
    start = time.perf_counter()
    with pytest.raises(ModelFileError, match=words):
        TensorFile(io.BytesIO(data), "w.weights.h5")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "data, words", [(b"", "empty"), (b"PK\3\4 a zip", "unknown kind"), (b"\0" * 64, "zero bytes"), (b"\x80\x04.", "pickle")]
)
def test_foreign_files_are_called_so(data, words):
    with pytest.raises(ModelFileError, match=words):
        TensorFile(io.BytesIO(data), "w.weights.h5")


def nested(f):
    f.create_group("layers/dense/vars").attrs["name"] = "my_dense"
    f["layers/dense/vars/0"] = WEIGHT
    f["layers/dense/vars/1"] = np.float64(3.5)
    f["empty"] = np.zeros((0, 3), "f4")
    f["flags"] = np.array([True, False])
    for i in range(100):
        f[f"many/{i}"] = np.int32(i)


def test_newer_forms_of_hdf5_are_refused_in_words():
    with pytest.raises(ModelFileError, match="superblock of version"):
        TensorFile(io.BytesIO(made(nested, libver="latest")), "x")


def test_tensors_are_read():
    import ml_dtypes

    def fill(f):
        nested(f)
        f.create_dataset("half", data=WEIGHT.astype(ml_dtypes.bfloat16)).attrs["dtype"] = "bfloat16"

    tensors = TensorFile(io.BytesIO(made(fill)), "x")
    found = {k: t.read() for k, t in tensors.tensors.items()}
    assert tensors.attribute("layers/dense/vars", "name") == "my_dense"
    assert tensors.attribute("", "name") is None
    np.testing.assert_array_equal(found["layers/dense/vars/0"], WEIGHT)
    np.testing.assert_array_equal(found["half"].astype("float32"), WEIGHT)
    assert found["layers/dense/vars/1"] == 3.5
    assert found["flags"].tolist() == [True, False]
    assert found["empty"].shape == (0, 3)
    assert [found[f"many/{i}"] for i in range(100)] == list(range(100))


@pytest.mark.parametrize("dtype", "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split())
def test_dtypes(dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = TensorFile(io.BytesIO(made(lambda f: f.__setitem__("w", values))), "x").tensors["w"]
    assert tensor.dtype == dtype
    assert tensor.nbytes == values.nbytes
    np.testing.assert_array_equal(tensor.read(), values)


@pytest.mark.parametrize("value", ["text", "größer", b"bytes", ["a", "bcd"], np.array([b"a", b"bcd"]), ["x" * 100] * 500])
def test_attributes(value):
    want = [v.decode() if isinstance(v, bytes) else v for v in value] if not isinstance(value, (str, bytes)) else value
    want = want.decode() if isinstance(want, bytes) else want
    tensors = TensorFile(io.BytesIO(made(lambda f: f.attrs.__setitem__("names", value))), "x")
    assert tensors.attribute("", "names") == want


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_values_that_are_no_numbers(bad, dtype):
    import ml_dtypes

    values = np.ones((3, 4)).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert is_finite(values)
    values[1, 2] = bad
    assert not is_finite(values)

    def fill(f):
        f.create_dataset("w", data=values).attrs["dtype"] = dtype

    tensor = TensorFile(io.BytesIO(made(fill)), "x").tensors["w"]
    with pytest.raises(ModelFileError, match=r"x, w: .*allow_nonfinite"):
        tensor.read()
    assert tensor.read(allow_nonfinite=True).shape == (3, 4)


def test_truncated_files():
    data = made(nested)
    for cut in range(8, len(data), 37):
        with pytest.raises(ModelFileError, match="truncated|cut off|outside"):
            TensorFile(io.BytesIO(data[:cut]), "x")


def test_changed_bytes_end_in_the_one_error_or_are_harmless():
    data, rng = made(nested), random.Random(0)
    for _ in range(600):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        start = time.perf_counter()
        try:
            for t in TensorFile(io.BytesIO(bytes(changed)), "x").tensors.values():
                t.read(allow_nonfinite=True)
        except ModelFileError:
            pass
        assert time.perf_counter() - start < 2
