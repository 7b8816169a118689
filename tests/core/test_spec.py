"""Specs, unknown sizes and shape arithmetic."""

import itertools

import numpy as np
import pytest

from mlkit.core.spec import (
    Dim,
    Spec,
    broadcast,
    ceil_div,
    compatible,
    normalize_axes,
    normalize_axis,
    reduced,
    resolve,
    same_size,
    show,
    size_of,
    window_output,
    window_padding,
)


class TestDim:
    def test_equals_only_itself(self):
        a, b = Dim(), Dim()
        assert a == a
        assert a != b
        assert a != 3

    def test_arithmetic_is_remembered(self):
        n = Dim("n")
        for expression, value in [
            (n + 2, 7),
            (2 * n, 10),
            (n - 1, 4),
            (7 - n, 2),
            (n // 2, 2),
            (n % 3, 2),
            (11 // n, 2),
            (-n, -5),
        ]:
            assert resolve(expression, {n: 5}) == value
        assert resolve(ceil_div(n, 2), {n: 5}) == 3

    def test_neutral_operations_give_back_the_size(self):
        n = Dim()
        assert n * 1 is n
        assert 1 * n is n
        assert n + 0 is n
        assert 0 + n is n
        assert n - 0 is n
        assert n // 1 is n
        assert n * 0 == 0
        assert n - n == 0
        assert n // n == 1
        assert n % n == 0

    def test_unknown_size_cannot_be_compared_or_used_as_a_number(self):
        n = Dim("batch")
        for use in (lambda: n > 3, lambda: n <= 3, lambda: range(n), lambda: int(n), lambda: float(n), lambda: [0][n]):
            with pytest.raises(TypeError, match="size that is unknown"):
                use()

    def test_resolving_an_undetermined_size_says_so(self):
        with pytest.raises(KeyError, match="not determined"):
            resolve(Dim() + 1, {})


def test_spec():
    n = Dim("n")
    assert Spec([2, 3], "float32") == Spec((2, 3), "float32") != Spec((2, 3), "float64")
    assert hash(Spec((n,), "int32")) == hash(Spec((n,), "int32"))
    assert Spec((n,), "int32") != Spec((Dim(),), "int32")
    assert repr(Spec((n, 3), "float32")) == "float32[n, 3]"
    assert Spec((n, 3), "float32").ndim == 2
    assert show((n, 3)) == (None, 3)
    assert size_of((2, 3)) == 6
    assert type(size_of((2, n))) is Dim
    assert same_size(n, 4)
    assert not same_size(3, 4)
    assert compatible((n, 3), (7, 3))
    assert not compatible((n, 3), (7, 4))
    assert not compatible((n,), (7, 3))


class TestBroadcast:
    @pytest.mark.parametrize(
        "shapes", [((2, 3), (3,)), ((4, 1, 3), (2, 1)), ((), (5,)), ((0, 1), (1, 3)), ((2, 3), (2, 3), (1,))]
    )
    def test_as_numpy(self, shapes):
        assert broadcast("op", *shapes) == np.broadcast_shapes(*shapes)

    def test_unknown_size_gives_way_to_a_known_one(self):
        n, m = Dim(), Dim()
        assert broadcast("op", (n, 3), (1, 3)) == (n, 3)
        assert broadcast("op", (n,), (5,)) == (5,)
        assert broadcast("op", (n,), (m,)) == (n,)

    def test_message(self):
        with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(4,\) do not broadcast: axis -1 has sizes 3 and 4"):
            broadcast("add", (2, 3), (4,))


def test_axes():
    assert normalize_axis("op", -1, 3) == 2
    assert normalize_axes("op", None, 2) == (0, 1)
    assert normalize_axes("op", (-1, 0), 3) == (0, 2)
    assert normalize_axes("op", 1, 2) == (1,)
    with pytest.raises(ValueError, match="op: axis 3 is out of range for a tensor of 3 dimensions"):
        normalize_axis("op", 3, 3)
    with pytest.raises(ValueError, match="twice"):
        normalize_axes("op", (0, -2), 2)
    assert reduced((2, 3, 4), (1,), True) == (2, 1, 4)
    assert reduced((2, 3, 4), (0, 2), False) == (3,)


@pytest.mark.parametrize("size,window,stride,dilation", list(itertools.product((5, 8), (1, 3), (1, 2), (1, 2))))
def test_windows_by_counting(size, window, stride, dilation):
    reach = (window - 1) * dilation + 1
    positions = [i for i in range(0, size, stride) if i + reach <= size]
    assert window_output("valid", 0, size, window, stride, dilation) == len(positions)
    before, after = window_padding("same", 0, size, window, stride, dilation)
    same = window_output("same", 0, size, window, stride, dilation)
    assert same == -(-size // stride)
    assert after - before in (0, 1)
    assert (size + before + after - reach) // stride + 1 == same or reach > size + before + after
    assert type(window_output("same", 0, Dim(), window, stride, dilation)) is Dim or stride == 1
