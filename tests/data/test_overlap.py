"""Data is made while steps run: in order, no more of it than an epoch has, and without threads left behind."""

import threading
import time
import traceback

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.data import EpochIterator, PyDataset, get_adapter


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("mlkit")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    deadline = time.time() + 5
    while threads() and time.time() < deadline:
        time.sleep(0.01)
    assert not threads()


def model():
    mlkit.utils.set_random_seed(0)
    net = mlkit.Sequential([mlkit.Input((2,)), layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


def batch(i):
    return np.full((4, 2), i, "float32"), np.ones((4, 1), "float32")


class Numbered(PyDataset):
    def __init__(self, count, **options):
        super().__init__(**options)
        self.count, self.made_in = count, []

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        self.made_in.append(threading.current_thread().name)
        return batch(i)


class Slow(Numbered):
    def __getitem__(self, i):
        time.sleep(0.02)
        return super().__getitem__(i)


def test_batches_are_made_in_a_thread_and_come_in_order():
    data = Numbered(7)
    seen = [x[0, 0] for x, _, _ in EpochIterator(get_adapter(data)).epoch(0)]
    assert seen == list(range(7))
    assert set(data.made_in) == {"mlkit-prefetch"}


def test_arrays_and_datasets_without_workers_are_cut_in_the_callers_thread():
    assert not get_adapter(np.zeros((4, 1))).overlaps
    data = Numbered(2, workers=0)
    list(EpochIterator(get_adapter(data)).epoch(0))
    assert set(data.made_in) == {threading.current_thread().name}


def test_waiting_for_data_and_using_it_overlap():
    class AlsoSlow(mlkit.callbacks.Callback):
        def on_train_batch_begin(self, step, logs=None):
            time.sleep(0.02)

    net, data = model(), Slow(15)
    net.fit(Numbered(1), verbose=0)
    start = time.perf_counter()
    net.fit(data, verbose=0, callbacks=[AlsoSlow()])
    assert time.perf_counter() - start < 15 * 0.04  # one after the other would take longer than that


def test_a_generator_gives_each_epoch_what_it_has_and_no_more():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield batch(taken[-1])

    source, net = endless(), model()
    for calls in (1, 2):
        net.fit(source, steps_per_epoch=3, epochs=2, verbose=0)
        assert len(taken) == 6 * calls


def test_training_on_a_generator_equals_training_on_its_batches():
    def batches():
        rng = np.random.default_rng(0)
        for _ in range(5):
            yield rng.random((4, 2), "float32"), rng.random((4, 1), "float32")

    a, b = model(), model()
    a.fit(batches(), verbose=0)
    for x, y in batches():
        b.train_on_batch(x, y)
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])


def test_an_error_in_the_data_is_raised_with_its_traceback():
    def broken():
        yield batch(0)
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire") as caught:
        model().fit(broken(), verbose=0)
    assert "in broken" in "".join(traceback.format_exception(caught.value))


class Interrupting(mlkit.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, step, logs=None):
        if step == 1:
            raise self.error

    on_predict_batch_end = on_train_batch_end


def test_an_interrupt_or_an_error_of_a_callback_ends_the_thread():
    net = model()
    with pytest.raises(KeyboardInterrupt):
        net.fit(Slow(50), verbose=0, callbacks=[Interrupting(KeyboardInterrupt())])
    assert net.history.epoch == []
    assert not threads()
    with pytest.raises(ZeroDivisionError):
        net.fit(Slow(50), verbose=0, callbacks=[Interrupting(ZeroDivisionError())])
    assert not threads()
    with pytest.raises(ZeroDivisionError) as caught:  # what was caught keeps the frames of the loop alive
        net.predict(Slow(50), verbose=0, callbacks=[Interrupting(ZeroDivisionError())])
    assert not threads()
    assert caught.value


def test_the_thread_uses_the_backend_of_the_caller():
    from mlkit.core.backend import using

    def with_ops():
        yield mlkit.config.backend()

    from mlkit.data import prefetch

    with using("jax"):
        assert list(prefetch(with_ops())) == ["jax"]
