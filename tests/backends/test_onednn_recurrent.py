"""oneDNN's LSTM against the reference rows."""

import pytest

from mlkit.backends.native.onednn import library
from tests.backends.test_onednn import check, drawn, reference, row_of

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")


@pytest.mark.parametrize("sizes", [(4, 3, 4, 5), (6, 1, 3, 2), (5, 4, 1, 3)], ids=str)
@pytest.mark.parametrize("with_bias", [False, True])
def test_lstm(sizes, with_bias):
    batch, time, features, units = sizes
    x, h, c = drawn(batch, time, features), drawn(batch, units, seed=1), drawn(batch, units, seed=2)
    kernel, recurrent = drawn(features, 4 * units, seed=3), drawn(units, 4 * units, seed=4)
    check("lstm", x, h, c, kernel, recurrent, drawn(4 * units, seed=5) if with_bias else None)
    hs, _, kept = reference("lstm", (x, h, c, kernel, recurrent, None), {})
    for gc in (None, drawn(batch, units, seed=7)):
        check("lstm_grad", drawn(batch, time, units, seed=6), gc, x, h, kernel, recurrent, hs, kept)


def test_single_samples_and_gradients_of_the_last_state_alone_are_declined():
    x, h, w = drawn(1, 3, 4), drawn(1, 5), drawn(4, 20)
    assert not row_of("lstm").accepts(x, h, h, w, drawn(5, 20), None)
    assert not row_of("lstm_grad").accepts(None, h, x, h, w, drawn(5, 20), drawn(1, 3, 5), drawn(3, 6, 5, 1))
