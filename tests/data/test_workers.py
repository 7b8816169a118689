"""Batches made ahead: in order, with their errors, and without threads left behind."""

import threading
import time

import pytest

from mlkit.data import ordered_map, prefetch


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("mlkit")]


def test_elements_come_in_order():
    assert list(prefetch(range(100), size=3)) == list(range(100))
    assert list(ordered_map(lambda i: i * i, range(50), workers=4, ahead=7)) == [i * i for i in range(50)]


def test_order_is_kept_when_later_elements_are_ready_first():
    def work(i):
        time.sleep(0.01 * (3 - i))
        return i

    assert list(ordered_map(work, range(4), workers=4, ahead=4)) == [0, 1, 2, 3]


def test_no_more_than_asked_is_made_ahead():
    made = []
    iterator = prefetch((made.append(i) or i for i in range(100)), size=2)
    assert next(iterator) == 0
    time.sleep(0.2)
    assert len(made) <= 4  # taken, two waiting, one in the producer's hand
    iterator.close()

    made = []
    iterator = ordered_map(lambda i: made.append(i) or i, range(100), workers=2, ahead=3)
    assert next(iterator) == 0
    time.sleep(0.1)
    assert len(made) <= 3
    iterator.close()


def failing(i):
    if i == 2:
        raise OSError("disk on fire")
    return i


@pytest.mark.parametrize("make", [lambda: prefetch(map(failing, range(5))), lambda: ordered_map(failing, range(5), 2, 2)])
def test_an_error_comes_where_its_element_would_have_been(make):
    got = []
    with pytest.raises(OSError, match="disk on fire"):
        for i in make():
            got.append(i)
    assert got == [0, 1]


@pytest.mark.parametrize("make", [lambda: prefetch(iter(int, 1), 2), lambda: ordered_map(abs, iter(int, 1), 2, 4)])
def test_a_consumer_that_stops_early_leaves_no_thread(make):
    for _ in make():
        break
    deadline = time.time() + 5
    while threads() and time.time() < deadline:
        time.sleep(0.01)
    assert not threads()


def test_the_source_is_closed_with_its_consumer():
    closed = []

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    iterator = prefetch(source())
    next(iterator)
    iterator.close()
    assert closed == [True]
