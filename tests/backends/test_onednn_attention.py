"""oneDNN's attention against the reference rows."""

import numpy as np
import pytest

from mlkit.backends.native.onednn import attention, library
from tests.backends.test_onednn import check, drawn, reference

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")


@pytest.mark.parametrize("block", [0, 1 << 20])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, (6, 1, 1, 5), (7, 5), (6, 3, 7, 5), (1, 3, 1, 1)], ids=str)
def test_attention(mask, causal, block, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK_BYTES", block)
    batch, queries, keys, heads = 6, 7, 5, 3
    q, k, v = drawn(batch, queries, heads, 4), drawn(batch, keys, heads, 4, seed=1), drawn(batch, keys, heads, 6, seed=2)
    mask = mask and np.random.default_rng(3).random(mask) > 0.7  # some rows without any pair
    p = dict(scale=0.4, causal=causal)
    check("attention", q, k, v, mask, **p)
    y = reference("attention", (q, k, v, mask), p)[0]
    check("attention_grad", drawn(*y.shape, seed=4), q, k, v, mask, **p)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, (6, 1, 1, 5), (6, 3, 7, 5)], ids=str)
def test_gradient_where_that_of_softmax_has_no_generated_code(mask, causal, monkeypatch):
    asked = []
    monkeypatch.setattr(attention, "_is_generated", lambda primitive: asked.append(primitive))
    q, k, v = drawn(6, 7, 3, 4), drawn(6, 5, 3, 4, seed=1), drawn(6, 5, 3, 6, seed=2)
    mask = mask and np.random.default_rng(3).random(mask) > 0.7
    check("attention_grad", drawn(6, 7, 3, 6, seed=4), q, k, v, mask, scale=0.4, causal=causal)
    assert asked
