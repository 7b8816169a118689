"""Batches that the thread which makes them sends to a GPU that is not there."""

import numpy as np
import pytest

from mlkit.backends.native.cuda import uploads
from mlkit.data.workers import prefetch
from tests.cuda import fake_cuda, fake_cupy
from tests.cuda.test_captured import dense


@pytest.fixture
def here(gpu, use):
    """The GPU in force."""
    use(gpu)
    return gpu


def test_batches_are_there_when_they_are_handed_out(here, monkeypatch):
    monkeypatch.setattr(uploads, "CHUNK", 16)  # so that both buffers are filled more than once
    here._uploads._buffers = None
    same = np.zeros((3, 5), "float32")  # the maker writes each batch into the same array

    def batches():
        for i in range(4):
            same[...] = i
            yield {"x": same, "words": np.array(["a", "b"]), "n": i, "none": np.zeros((0, 2)), "one": np.float32(i)}

    for i, batch in enumerate(prefetch(batches(), own=True)):
        np.testing.assert_array_equal(batch["x"], np.full((3, 5), i))
        fake_cupy.counts.clear()
        there = here.borrow(batch["x"], "float32")
        assert fake_cupy.counts.uploads == 0
        np.testing.assert_array_equal(here.to_numpy(there), batch["x"])
        assert batch["words"].tolist() == ["a", "b"]
        assert batch["none"].shape == (0, 2)
        assert batch["n"] == batch["one"] == i
    here._uploads._buffers = None


def test_memory_of_a_batch_is_held_until_the_step_is_done(here, monkeypatch):
    own = uploads.Uploads(here.device)
    first = own.send(np.ones(7))
    kept = own.send(np.zeros(3))

    class Unfinished(fake_cuda.Event):
        done = property(lambda self: False, lambda self, value: None)

    monkeypatch.setattr(fake_cuda.cuda, "Event", Unfinished)
    late = here.device.streams._late
    late.clear()
    del first
    own.send(np.ones(2))
    assert [array.shape for _, array in late] == [(7,)]
    assert own.find(kept).tolist() == [0, 0, 0]
    late.clear()


def test_fit_trains_on_batches_that_were_sent(here, reference, use):
    def run(backend):
        use(backend)
        model, x, y = dense()
        fake_cupy.counts.clear()

        def batches():
            for _ in range(6):
                yield x, y

        model.fit(batches(), epochs=1, verbose=0)
        sent = fake_cupy.counts.uploads
        return [w.numpy() for w in model.weights], sent

    (weights, sent), (wanted, _) = run(here), run(reference)
    for a, b in zip(weights, wanted):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert fake_cupy.counts.on_default_stream == 0
    assert 12 <= sent <= 30  # each array of a batch once, and the variables
