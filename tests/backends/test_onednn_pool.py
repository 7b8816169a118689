"""oneDNN's pooling and softmax against the reference rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.backends.native.onednn import library
from tests.backends.test_onednn import check, drawn, reference, row_of

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")


@st.composite
def pools(draw):
    """(input shape, parameters)"""
    rank = draw(st.integers(1, 3))
    size = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))
    window = size(2, 4)
    spatial = tuple(k + n for k, n in zip(window, size(0, 6)))
    padding = draw(st.sampled_from(["valid", "same", ((1, 1),) * rank, ((0, 1),) * rank]))
    return (draw(st.integers(1, 3)), *spatial, draw(st.integers(1, 9))), dict(
        window=window, strides=size(1, 4), padding=padding
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(pools())
def test_pool(case):
    shape, p = case
    x = drawn(*shape)
    y = reference("max_pool", (x,), p)[0]
    g = drawn(*y.shape, seed=1)
    if row_of("max_pool").accepts(x, **p):
        check("max_pool", x, **p)
        check("max_pool_grad", x, y, g, **p)
        check("avg_pool", x, **p)
        check("avg_pool_grad", g, shape=shape, **p)


def test_windows_in_the_padding_alone_are_declined():
    assert not row_of("max_pool").accepts(drawn(1, 4, 3), window=(2,), strides=(1,), padding=((2, 0),))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 1), (2, 3, 4, 17)])
def test_softmax(shape):
    check("softmax", drawn(*shape) * 5, axis=len(shape) - 1)
    assert len(shape) == 1 or not row_of("softmax").accepts(drawn(*shape), axis=0)
