"""oneDNN's resampling against the reference rows: the fallback, of other ops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlkit
from mlkit.backends.native.onednn import library, resample
from mlkit.backends.native.onednn.densify import Densified
from mlkit.core.backend import get_backend
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.nearest_neighbor import nearest_cells
from tests.backends.test_onednn import check, drawn, nothing_is_quick, row_of  # noqa: F401

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")


@st.composite
def resamplings(draw):
    """(shape, parameters)"""
    rank = draw(st.integers(1, 3))
    size = lambda: tuple(draw(st.integers(1, 13)) for _ in range(rank))
    channels = draw(st.integers(1, 2 * resample.FEWEST))
    return (draw(st.integers(1, 3)), *size(), channels), dict(size=size(), method=draw(st.sampled_from(["nearest", "linear"])))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(resamplings())
def test_random_sizes(case):
    shape, p = case
    check("resample", drawn(*shape), **p)
    grad = dict(p, size=shape[1:-1])
    g = drawn(shape[0], *p["size"], shape[-1], seed=1)
    if row_of("resample_grad").accepts(g, **grad):
        check("resample_grad", g, **grad)


def test_nearest_cells_of_all_small_sizes():
    """Also where a centre lies between two cells and rounding decides: there the rows agree or decline."""
    forward, backward, p, accepted = row_of("resample"), row_of("resample_grad"), dict(method="nearest"), 0
    for size in range(1, 50):
        x = np.arange(size, dtype="float32").reshape(1, size, 1)
        for new in range(1, 62):
            found, g = nearest_cells(size, new), np.ones((1, new, 1), "float32")
            if forward.accepts(x, size=(new,), **p):
                accepted += 1
                assert np.array_equal(forward(x, size=(new,), **p).ravel(), found), (size, new)
            if backward.accepts(g, size=(size,), **p):
                assert np.array_equal(backward(g, size=(size,), **p).ravel(), np.bincount(found, minlength=size)), (size, new)
    assert 0.95 * 49 * 61 < accepted < 49 * 61


def test_what_is_declined():
    row, p = row_of("resample_grad"), dict(size=(4, 4), method="linear")
    assert row.accepts(drawn(2, 8, 8, 3), size=(4, 4), method="nearest")
    assert not row.accepts(drawn(2, 8, 8, resample.FEWEST - 1), **p), "few channels"
    assert not row.accepts(drawn(2, 2, 2, 8), size=(4, 4), method="nearest"), "centres between cells"
    assert not row_of("resample").accepts(drawn(2, 3, 3, 3, 3, 3), size=(4,) * 4, method="nearest"), "four spatial axes"
    for name in ("resample", "resample_grad"):
        assert get_backend("native").kernels[name](drawn(0, 8, 8, 8), **p).shape == (0, 4, 4, 8)
        assert get_backend("native").kernels[name](drawn(2, 8, 8, 3).astype("float16"), **p).dtype == "float16"


def plan_of(f, *args):
    f(*args)
    return next(iter(f.programs.values()))[0].run.plan


def test_declined_calls_become_other_ops_in_a_graph():
    def names(method):
        f = mlkit.function(lambda g: OPS["resample_grad"](g, size=(3, 2), method=method))
        return [call.op.name for call in plan_of(f, drawn(2, 6, 4, 1)).graph.calls]

    assert names("nearest") == ["resample_grad"]
    assert "matmul" in names("linear")
    assert "resample_grad" not in names("linear")


def test_parts_of_images_are_copied():
    """As gradients of concatenated images are, for which oneDNN has no fast kernel."""

    def f(x):
        y = OPS["resample"]((x * 2.0)[..., 1:9], size=(10, 14), method="nearest")
        return OPS["resample_grad"]((y * 0.5)[..., :5], size=(5, 7), method="nearest")

    x = drawn(3, 5, 7, 12)
    plan = plan_of(mlkit.function(f), x)
    kernels = [choice.prepared for call, choice in zip(plan.graph.calls, plan.choices) if call.op.name.startswith("resample")]
    assert [type(k) for k in kernels] == [Densified, Densified]
    np.testing.assert_allclose(np.asarray(mlkit.function(f)(x)), 4.0 * x[..., 1:6], rtol=1e-6)
