"""Choices that hold for the whole program, and what the core's smaller doors refuse."""

import numpy as np
import pytest

import mlkit
from mlkit import config, ops, tree
from mlkit.core.spec import Dim

RNG = np.random.default_rng(0)


@pytest.fixture
def flash():
    yield
    config.enable_flash_attention()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("how", ["argument", "setting"])
def test_attention_by_its_definition(flash, how, causal):
    """Without the fused op, and with the same numbers, rows that may look nowhere too."""
    q, k, v = (ops.convert_to_tensor(RNG.normal(size=(2, n, 2, 4)).astype("float32")) for n in (5, 6, 6))
    mask = RNG.random((2, 1, 5, 6)) > 0.3
    mask[0, 0, 2] = False
    attend = lambda **options: mlkit.function(
        lambda q, k, v: ops.dot_product_attention(q, k, v, mask=mask, is_causal=causal, **options)
    )
    fused = attend()
    expected = fused(q, k, v).numpy()
    assert "attention" in {call.op.name for call in fused.graph(q, k, v).calls}
    if how == "setting":
        config.disable_flash_attention()
        assert config.is_flash_attention_enabled() is False
    plain = attend(**({"flash_attention": False} if how == "argument" else {}))
    assert "attention" not in {call.op.name for call in plain.graph(q, k, v).calls}
    np.testing.assert_allclose(plain(q, k, v), expected, rtol=1e-5, atol=1e-6)
    if how == "setting":
        config.enable_flash_attention()
        assert config.is_flash_attention_enabled() is True


def test_traceback_filtering_can_be_asked_for():
    config.disable_traceback_filtering()
    assert not config.is_traceback_filtering_enabled()
    config.enable_traceback_filtering()
    assert config.is_traceback_filtering_enabled()


REFUSED = {
    "image format": (
        lambda: config.set_image_data_format("nchw"),
        'expected "channels_last" or "channels_first", but got \'nchw\'',
    ),
    "exactness": (lambda: config.set_float32("exactly"), 'expected "tf32" or "exact"'),
    "determinism": (lambda: config.set_deterministic(1), "expected True or False, but got 1"),
    "a name without letters": (lambda: mlkit.name_scope(""), "`name` must be a non-empty string, but got ''"),
    "nothing to map": (lambda: tree.map_structure(abs), "needs at least one structure"),
    "a leaf beside a list": (lambda: tree.map_structure(max, 1, [2]), "1 is a leaf, the other is not"),
    "other paths": (
        lambda: tree.assert_same_paths({"a": 1, "b": 2}, {"a": 1}),
        r"don't have the same paths. Only in `a`: \[\('b',\)\]",
    ),
    "no shape": (lambda: tree.map_shape_structure(len, 3), "Expected a shape or a structure of shapes, but got 3"),
    "a complex number as float": (lambda: ops.ones(3) + ops.full((), 1j, "float32"), "complex.*real part"),
    "a size that is no number": (lambda: ops.zeros((2.5,)), "must be an integer, but is 2.5 of type float"),
    "one size too many": (lambda: mlkit.layers.Conv2D(3, (2, 2, 2)), "2"),
    "an axis that is no number": (lambda: ops.softmax(ops.ones(3), axis=1.5), "axis must be an integer, but is 1.5"),
    "a list of other things": (lambda: ops.convert_to_tensor([1, None]), "is not a number or a regular array"),
    "tensors of two shapes": (lambda: ops.convert_to_tensor([ops.ones(2), ops.ones(3)]), r"one shape, but have \(2,\), \(3,\)"),
    "sparse": (lambda: ops.convert_to_tensor([1.0], sparse=True), "`sparse` and `ragged`"),
    "what becomes no array": (
        lambda: ops.convert_to_tensor(NoArray()),
        "NoArray .* cannot be converted to a tensor: not today",
    ),
    "complex, where real": (lambda: ops.erf(np.array([1j], "complex64")), "erf: expected"),
}


class NoArray:
    def __array__(self, *_, **__):
        raise ValueError("not today")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    call, words = REFUSED[name]
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=words):
        call()


def test_what_has_no_effect_is_told():
    with pytest.warns(UserWarning, match="`check_types` has no effect"):
        tree.assert_same_structure([1], [2], check_types=True)


def test_numbers_beyond_all_floats():
    assert ops.full((), 10**400).numpy() == np.inf
    assert (ops.zeros(2) - 10**400).numpy().tolist() == [-np.inf, -np.inf]


def test_unknown_sizes():
    some = Dim()
    assert some
    assert some != "batch"
    assert ops.convert_to_tensor(mlkit.function(lambda x: ops.ones((2,)) * x.shape[0])(ops.ones(3))).numpy().tolist() == [3, 3]


def test_what_other_libraries_hold_is_taken():
    class Handed:  # of DLPack alone
        def __init__(self):
            self.array = np.arange(3.0)

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    assert ops.convert_to_tensor(Handed()).numpy().tolist() == [0, 1, 2]
    assert np.from_dlpack(ops.arange(3.0)).tolist() == [0, 1, 2]
    assert ops.arange(3).__dlpack_device__()[0] == 1, "the memory of a CPU"


def test_sizes_given_as_tensors():
    assert ops.zeros(ops.convert_to_tensor([2, 3])).shape == (2, 3)
    x = mlkit.Input((3,))
    assert ops.stack([x, ops.ones((1, 3)) + x]).shape == (2, None, 3)
