"""oneDNN's activations against the reference rows."""

import pytest

from mlkit.backends.native.onednn import library
from tests.backends.test_onednn import check, drawn

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")


@pytest.mark.parametrize("name, params", [("gelu", {"approximate": True}), ("gelu", {"approximate": False}), ("silu", {})])
@pytest.mark.parametrize("shape", [(7,), (3, 5, 2), (1, 2, 1, 40)])
def test_activation(name, params, shape):
    check(name, drawn(*shape), **params)
    check(f"{name}_grad", drawn(*shape, seed=1), drawn(*shape) * 3, **params)
