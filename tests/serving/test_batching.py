"""Batches without a timer: what runs together, what does not, and that answers are those of `predict` all the same."""

import asyncio
import json
import threading
import time

import numpy as np
import pytest

import mlkit as keras
from mlkit.serving import inference
from mlkit.serving.batches import Batches
from mlkit.serving.contract import RequestError
from mlkit.serving.keras_runner import KerasRunner
from mlkit.serving.version import Job, Retired
from tests.serving.asking import Slow, client, hold, net, rows, slow_client, until

SLOW = "/v1/models/slow:predict"


def send(asked, *numbers, **kwargs):
    return asked.send("POST", SLOW, {"instances": [[n, 0] for n in numbers]}, **kwargs)


def test_a_lone_request_starts_at_once_and_what_waits_is_one_batch(monkeypatch):
    with slow_client(monkeypatch, max_batch_size=8) as (asked, runner):
        first = hold(asked, runner)
        waiting = [send(asked, 1), send(asked, 2, 3), send(asked, 4)]
        until(lambda: asked.app.store.entries["slow"].current.waiting == 3)
        runner.go.set()
        assert [f.result(10).json["predictions"][0][0] for f in [first, *waiting]] == [0, 2, 4, 8]
        assert runner.batches == [[0], [1, 2, 3, 4]]


def test_a_quick_model_answers_who_is_alone_in_the_event_loop(monkeypatch):
    with slow_client(monkeypatch, quick=True, max_batch_size=4) as (asked, runner):
        version, threads, run = asked.app.store.entries["slow"].current, [], runner.run
        monkeypatch.setattr(runner, "run", lambda arrays: threads.append(threading.current_thread()) or run(arrays))
        monkeypatch.setattr("mlkit.serving.version._HELD_UP", 60.0)  # a busy machine
        loop, own = asked._thread, version._thread
        assert [send(asked, n).result(10).json["predictions"][0][0] for n in (1, 2)] == [2, 4]
        assert threads == [loop, loop]
        assert send(asked, 13).result(10).status == 400
        # more rows than are quick; a model that runs; others that wait; a turn after one with several requests
        assert send(asked, *range(6)).result(10).status == 200
        assert set(threads[3:]) == {own}
        threads.clear()
        with version._free:
            waiting = [send(asked, 1)]
            until(lambda: version.waiting == 1)
        assert waiting[0].result(10).status == 200
        version.admit("another")
        assert send(asked, 2).result(10).status == 200
        version.left("another")
        assert threads == [own, own]


def test_several_in_one_turn_of_the_event_loop_are_one_batch(monkeypatch):
    with slow_client(monkeypatch, quick=True, max_batch_size=4) as (asked, runner):
        bodies = [json.dumps({"instances": [[n, 0]]}).encode() for n in range(4)]

        async def at_once():
            return await asyncio.gather(*[asked._ask("POST", SLOW, [body], (), None, "") for body in bodies])

        replies = asyncio.run_coroutine_threadsafe(at_once(), asked.loop).result(10)
        assert [r.json["predictions"][0][0] for r in replies] == [0, 2, 4, 6]
        assert runner.batches[0] == [0]  # it was the first, and seemed alone
        runner.batches.clear()
        assert asyncio.run_coroutine_threadsafe(at_once(), asked.loop).result(10)[3].status == 200
        assert len(runner.batches) < 4


def test_what_has_once_taken_long_is_not_quick(monkeypatch):
    with slow_client(monkeypatch, quick=True) as (asked, runner):
        run, version = runner.run, asked.app.store.entries["slow"].current
        assert version._batches.quick_rows == 32

        def long(arrays):
            end = time.thread_time() + 0.01
            while time.thread_time() < end:
                pass
            return run(arrays)

        monkeypatch.setattr(runner, "run", long)
        assert send(asked, 1).result(10).status == 200
        assert version._batches.quick_rows == 0


def test_what_has_waited_runs_in_its_thread_for_a_while(monkeypatch):
    with slow_client(monkeypatch, quick=True) as (asked, runner):
        run, version, threads = runner.run, asked.app.store.entries["slow"].current, []
        monkeypatch.setattr(
            runner, "run", lambda arrays: time.sleep(0.02) or threads.append(threading.current_thread()) or run(arrays)
        )
        for n in (1, 2):
            assert send(asked, n).result(10).status == 200
        assert threads == [asked._thread, version._thread]
        assert version._batches.quick_rows == 32
        version._held_up_until = 0.0
        assert send(asked, 3).result(10).status == 200
        assert threads[2:] == [asked._thread]


def test_a_request_alone_that_is_late_or_comes_to_a_retired_version(monkeypatch):
    with slow_client(monkeypatch, quick=True) as (asked, runner):
        version = asked.app.store.entries["slow"].current

        async def answered(seconds):
            return version.answer_alone(
                Job([np.zeros((1, 2), "float32")], time.monotonic() + seconds, asyncio.get_running_loop())
            )

        assert asyncio.run(answered(5))[0].shape == (1, 2)
        with pytest.raises(RequestError, match="until its deadline"):
            asyncio.run(answered(-1))
        version.retire()
        with pytest.raises(Retired):
            asyncio.run(answered(5))
        assert runner.batches == [[0]]


def test_sizes_that_are_free_are_not_known_to_be_quick():
    x = keras.Input((None, 3), name="x")
    runner = KerasRunner(keras.Model(x, keras.layers.GlobalAveragePooling1D(name="y")(x)))
    assert Batches(runner, 4).quick_rows == 0


def test_batches_have_prepared_sizes_and_no_more_than_the_limit(monkeypatch):
    with slow_client(monkeypatch, max_batch_size=4) as (asked, runner):
        hold(asked, runner)
        waiting = [send(asked, 1, 2, 3), send(asked, 4), send(asked, 5, 6), send(asked, 7), send(asked, *range(20, 29))]
        until(lambda: asked.app.store.entries["slow"].current.waiting == 5)
        runner.go.set()
        replies = [[row[0] for row in f.result(10).json["predictions"]] for f in waiting]
        assert replies == [[2, 4, 6], [8], [10, 12], [14], [2.0 * n for n in range(20, 29)]]
        assert {len(b) for b in runner.batches} <= {1, 2, 4}
        assert runner.batches[1:3] == [[1, 2, 3, 4], [5, 6, 7, 7]]  # padded with the last row


def test_a_bad_request_in_a_batch_fails_alone(monkeypatch):
    with slow_client(monkeypatch) as (asked, runner):
        hold(asked, runner)
        waiting = [send(asked, n) for n in (1, 13, 2)]
        until(lambda: asked.app.store.entries["slow"].current.waiting == 3)
        runner.go.set()
        replies = [f.result(10) for f in waiting]
        assert [r.status for r in replies] == [200, 400, 200]
        assert replies[1].error == "model 'slow' does not take these values: thirteen"
        assert replies[2].json["predictions"] == [[4, 0]]


def test_a_model_that_fails_is_a_fault_of_the_server(monkeypatch):
    with slow_client(monkeypatch) as (asked, runner):
        monkeypatch.setattr(runner, "run", lambda arrays: (_ for _ in ()).throw(MemoryError("no room")))
        reply = send(asked, 1).result(10)
        assert (reply.status, reply.error) == (500, "model 'slow' failed: MemoryError.")


def test_requests_past_their_deadline_are_not_computed(monkeypatch):
    with slow_client(monkeypatch, timeout=0.2) as (asked, runner):
        first = hold(asked, runner)
        reply = send(asked, 1).result(10)  # while the model is busy
        assert (reply.status, reply.error) == (503, "the request waited until its deadline and was not computed.")
        assert first.result(10).status == 503  # this one was being computed
        runner.go.set()
        assert send(asked, 2).result(10).status == 200
        assert runner.batches == [[0], [2]]


def test_clients_ask_for_shorter_deadlines(monkeypatch):
    with slow_client(monkeypatch) as (asked, runner):
        first = hold(asked, runner)
        one = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 0]}
        began = time.monotonic()
        reply = asked.ask("POST", "/v2/models/slow/infer", {"inputs": [one], "parameters": {"timeout": 50_000}})
        assert reply.status == 503
        assert time.monotonic() - began < 5
        runner.go.set()
        assert first.result(10).status == 200
        assert runner.batches == [[0]]


def test_requests_whose_clients_left_are_not_computed(monkeypatch):
    with slow_client(monkeypatch) as (asked, runner):
        first, left = hold(asked, runner), asyncio.Event()
        gone = send(asked, 1, left=left)
        stays = send(asked, 2)
        until(lambda: asked.app.store.entries["slow"].current.waiting == 2)
        asked.loop.call_soon_threadsafe(left.set)
        assert gone.result(10) is None
        runner.go.set()
        assert [f.result(10).status for f in (first, stays)] == [200, 200]
        assert runner.batches == [[0], [2]]


def test_health_is_answered_while_a_model_computes(monkeypatch):
    with slow_client(monkeypatch) as (asked, runner):
        first = hold(asked, runner)
        assert asked.send("GET", "/v2/health/live").result(5).status == 200
        runner.go.set()
        assert first.result(10).status == 200


def test_a_turn_of_the_event_loop_has_as_many_requests_as_fit_in_it(monkeypatch):
    clock = iter(range(1000))  # between two looks at it passes a second
    monkeypatch.setattr(inference, "_TURN", 2.5)
    monkeypatch.setattr(inference.time, "perf_counter", lambda: float(next(clock)))
    shared, seen = inference.Inference(None, 1.0, 1, False), []

    async def turns():
        while len(seen) < 10 or seen[-1] == "turn":
            seen.append("turn")
            await asyncio.sleep(0)
            if seen.count("turn") > 20:
                return

    async def all_of_them():
        await asyncio.gather(turns(), *[shared._in_turn(seen.append, i) for i in range(9)])

    asyncio.run(all_of_them())
    parts = " ".join(map(str, seen)).split("turn")
    assert max(len(part.split()) for part in parts) == 3
    assert [one for one in seen if one != "turn"] == list(range(9))  # in the order in which they came


@pytest.mark.parametrize("size", [1, 5, 32])
def test_answers_are_those_of_predict_whatever_they_are_batched_with(size):
    model = net()
    x = rows(60)
    wanted = model.predict(x, verbose=0)
    with client({"net": model}, max_batch_size=size, max_queue=100) as asked:
        cuts = np.cumsum([0, 1, 2, 1, 7, 1, 1, 3, 20, 1, 1, 1, 4, 1, 1, 5, 1, 9])
        parts = [(i, min(j, 60)) for i, j in zip(cuts, [*cuts[1:], 60])]
        sent = [asked.send("POST", "/v1/models/net:predict", {"instances": x[i:j].tolist()}) for i, j in parts if i < j]
        found = np.concatenate([np.array(f.result(20).json["predictions"], "float32") for f in sent])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_threads_ask_at_once():
    model = net()
    x = rows(40)
    wanted, wrong = model.predict(x, verbose=0), []
    with client({"net": model, "same": model}) as asked:

        def ask_many(name, numbers):
            for i in numbers:
                reply = asked.ask("POST", f"/v1/models/{name}:predict", {"instances": [x[i].tolist()]})
                if not np.allclose(reply.json["predictions"], wanted[i], atol=1e-6):
                    wrong.append(i)

        threads = [threading.Thread(target=ask_many, args=(("net", "same")[k % 2], range(k, 40, 4))) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.parametrize("most", [1, 8])
def test_models_that_compute_over_the_batch_run_each_request_alone(most):
    x = keras.Input((2,), name="x")
    centred = keras.layers.Lambda(lambda t: t - keras.ops.mean(t, axis=0, keepdims=True), name="y")(x)
    batches = Batches(KerasRunner(keras.Model(x, centred)), most)
    assert not batches.together
    a, b = rows(3, 2), rows(2, 2, seed=1)
    found = batches([[a], [b]])
    np.testing.assert_allclose(found[0][0], a - a.mean(0), atol=1e-6)
    np.testing.assert_allclose(found[1][0], b - b.mean(0), atol=1e-6)
    assert Batches(KerasRunner(net()), most).together


def test_they_are_found_where_sizes_are_free():
    x = keras.Input((None, 2), name="x")
    centred = keras.layers.Lambda(lambda t: t - keras.ops.mean(t, axis=0, keepdims=True), name="y")(x)
    assert not Batches(KerasRunner(keras.Model(x, centred)), 4).together
    assert Batches(KerasRunner(keras.Model(x, keras.layers.LSTM(2)(x))), 4).together


@pytest.mark.parametrize("length, refused", [(20, 0), (200, 1)])
def test_they_are_found_where_models_need_more_than_a_few_steps(length, refused, caplog):
    """Rows of one request never have a part in another's answer: where no size that is tried will do, each runs alone."""
    x = keras.Input((None, 2), name="x")
    seen = keras.layers.Conv1D(3, length)(x)
    centred = keras.layers.Lambda(lambda t: t - keras.ops.mean(t, axis=0, keepdims=True), name="y")(seen)
    batches = Batches(KerasRunner(keras.Model(x, centred)), 4)
    assert not batches.together
    assert sum("runs by itself" in r.getMessage() for r in caplog.records) == refused
    asked = [[rows(1, (length + 5) * 2, seed=s).reshape(1, -1, 2)] for s in (0, 1)]
    for (answer,) in batches(asked):
        np.testing.assert_allclose(answer, 0, atol=1e-6)
    assert Batches(KerasRunner(keras.Model(x, seen)), 4).together == (not refused)


def test_models_that_return_their_input_keep_their_answers():
    """Rows are gathered in memory that the next batch uses too."""
    x = keras.Input((2,), name="x")
    batches = Batches(KerasRunner(keras.Model(x, keras.layers.Identity()(x))), 4)
    a, b = [rows(1, 2, seed=s) for s in (0, 1)]
    kept = batches([[a], [b]])
    batches([[b + 5], [b + 5]])
    np.testing.assert_array_equal(kept[0][0], a)
    np.testing.assert_array_equal(kept[1][0], b)


def test_one_plan_a_size_is_made_at_the_start():
    batches = Batches(KerasRunner(net()), 12)
    assert batches.sizes == [1, 2, 4, 8, 12]
    assert sorted(batches.runner._programs) == batches.sizes
    before = batches.runner.model._traces
    for n in range(1, 13):
        batches([[rows(1)]] * n)
    assert batches.runner.model._traces == before


def test_a_size_that_a_runner_is_made_for():
    class Fixed(Slow):
        rows = 3

    batches = Batches(Fixed(), 32)
    assert batches.sizes == [3]
    x = rows(5, 2)
    np.testing.assert_array_equal(batches([[x]])[0][0], x * 2)
    assert {len(b) for b in batches.runner.batches} == {3}
