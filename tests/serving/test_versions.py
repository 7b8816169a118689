"""Folders of versions: a new one takes over, a broken one does not, memory has a limit, nothing fails meanwhile."""

import json
import os
import shutil
import threading

import numpy as np
import pytest

from mlkit import serving
from tests.serving.asking import client, net, rows, until

V1 = "/v1/models/net:predict"
X = rows(2)


def answers(asked, path=V1):
    return np.array(asked.ask("POST", path, {"instances": X.tolist()}).json["predictions"], "float32")


def served(asked, name="net"):
    current = asked.app.store.entries[name].current
    return current and current.number


def states(asked, name="net"):
    found = asked.ask("GET", f"/v1/models/{name}").json["model_version_status"]
    return {int(s["version"]): (s["state"], s["status"]["error_message"]) for s in found}


@pytest.fixture
def published(tmp_path):
    models = [net(seed=0), net(seed=1)]
    folder = tmp_path / "net"
    serving.publish(models[0], folder)
    with client({"net": folder}, watch_seconds=0.05) as asked:
        yield asked, folder, models


def test_a_new_version_is_verified_and_takes_over(published):
    asked, folder, (first, second) = published
    np.testing.assert_allclose(answers(asked), first.predict(X, verbose=0), atol=1e-6)
    assert asked.app.store.entries["net"].current.verified
    assert serving.publish(second, folder) == 2
    until(lambda: served(asked) == 2)
    np.testing.assert_allclose(answers(asked), second.predict(X, verbose=0), atol=1e-6)
    assert states(asked) == {2: ("AVAILABLE", ""), 1: ("END", "")}
    reply = asked.ask("POST", "/v1/models/net/versions/1:predict", {"instances": X.tolist()})
    assert (reply.status, reply.error) == (404, "model 'net' has no version '1' that is served; there is 2.")


@pytest.mark.parametrize("fault", ["broken", "cut", "other answers", "two files"])
def test_a_broken_version_leaves_the_old_one(published, fault):
    asked, folder, (first, second) = published
    serving.publish(second, folder.parent / "aside")
    made = folder.parent / "aside" / "1"
    if fault == "broken":
        (made / "model.keras").write_bytes(b"PK nothing")
    elif fault == "cut":
        (made / "model.keras").write_bytes((made / "model.keras").read_bytes()[:-200])
    elif fault == "other answers":
        shutil.copy(folder / "1" / "golden.json", made / "golden.json")
    else:
        (made / "more.onnx").write_bytes(b"")
    os.rename(made, folder / "2")
    until(lambda: states(asked).get(2, ("",))[0] == "END")
    words = {"other answers": "it answers something else to its golden sample", "two files": "must hold one file of a model"}
    assert words.get(fault, "ModelFileError") in states(asked)[2][1]
    assert states(asked)[1] == ("AVAILABLE", "")
    np.testing.assert_allclose(answers(asked), first.predict(X, verbose=0), atol=1e-6)
    assert asked.ask("GET", "/v2/health/ready").status == 200
    if fault == "broken":  # it is tried again once its files change
        second.save(folder / "2" / "model.keras")
        until(lambda: served(asked) == 2)


def test_taking_the_newest_away_brings_the_one_before_back(published):
    asked, folder, (first, second) = published
    serving.publish(second, folder)
    until(lambda: served(asked) == 2)
    shutil.rmtree(folder / "2")
    until(lambda: served(asked) == 1)
    shutil.rmtree(folder)  # nothing is left, and what is served stays
    np.testing.assert_allclose(answers(asked), first.predict(X, verbose=0), atol=1e-6)


def test_no_request_fails_while_versions_change(published):
    asked, folder, models = published
    wanted = [m.predict(X, verbose=0) for m in models]
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            reply = asked.ask("POST", V1, {"instances": X.tolist()})
            if reply.status != 200 or not any(np.allclose(reply.json["predictions"], w, atol=1e-6) for w in wanted):
                wrong.append(reply.body)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(4):
        number = serving.publish(models[(i + 1) % 2], folder)
        until(lambda n=number: served(asked) == n, 60)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    until(lambda: not [t for t in threading.enumerate() if t.name == "mlkit-net-1"])  # the old ones are gone


def test_a_folder_of_models(tmp_path):
    serving.publish(net(), tmp_path / "one")
    (tmp_path / "no model").mkdir()
    with client({}, folder=str(tmp_path), watch_seconds=0.05) as asked:
        assert answers(asked, "/v1/models/one:predict").shape == (2, 3)
        serving.publish(net(), tmp_path / "two")
        until(lambda: "two" in asked.app.store.entries and served(asked, "two"))
        assert {m["name"] for m in asked.ask("POST", "/v2/repository/index").json} == {"one", "two"}


def test_memory_limit_puts_out_what_was_asked_for_least_recently(tmp_path):
    models = {name: net(seed=i) for i, name in enumerate("abc")}
    with client(models) as asked:
        size = asked.app.store.entries["a"].current.nbytes
    with client(models, memory_limit=int(2.5 * size)) as asked:
        loaded = lambda: [n for n in "abc" if served(asked, n)]
        assert loaded() == ["b", "c"]
        assert asked.ask("GET", "/v2/health/ready").status == 200
        np.testing.assert_allclose(answers(asked, "/v1/models/b:predict"), models["b"].predict(X, verbose=0), atol=1e-6)
        np.testing.assert_allclose(answers(asked, "/v1/models/a:predict"), models["a"].predict(X, verbose=0), atol=1e-6)
        assert loaded() == ["a", "b"]
    with client(models, memory_limit=size // 2) as asked:
        reply = asked.ask("POST", "/v1/models/a:predict", {"instances": X.tolist()})
        assert (reply.status, "and the memory limit is" in reply.error) == (503, True)


def test_onnx_files_are_served(tmp_path):
    pytest.importorskip("onnxruntime", reason="runs files of ONNX")
    pytest.importorskip("onnx", reason="writes them")
    model = net()
    (tmp_path / "1").mkdir()
    model.export(tmp_path / "1" / "model.onnx", verbose=False)
    with client({"net": tmp_path, "file": tmp_path / "1" / "model.onnx"}) as asked:
        assert asked.app.store.entries["net"].current.verified
        assert asked.ask("GET", "/v2/models/net").json["platform"] == "onnxruntime_onnx"
        for name in ("net", "file"):
            np.testing.assert_allclose(answers(asked, f"/v1/models/{name}:predict"), model.predict(X, verbose=0), atol=1e-6)


def test_publish_leaves_nothing_half_written(tmp_path, monkeypatch):
    model = net()
    monkeypatch.setattr(model, "save", lambda path: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        serving.publish(model, tmp_path)
    assert os.listdir(tmp_path) == []


def test_several_publish_at_once(tmp_path):
    model, found = net(), []
    threads = [threading.Thread(target=lambda: found.append(serving.publish(model, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 3, 4]
    assert json.loads((tmp_path / "4" / "golden.json").read_text())["seed"] == 0
