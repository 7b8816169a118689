"""Searches: what they find, what they survive, and how they are taken up again."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import mlkit
from mlkit import callbacks, config, layers

pytest.importorskip("optuna", reason="the engine of mlkit.tuner")

from mlkit import tuner
from mlkit.tuner import devices, journal

pytestmark = pytest.mark.native("searches repeat to the bit on the native engine")
X = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def build(hp):
    model = mlkit.Sequential(
        [
            mlkit.Input((6,)),
            layers.Dense(hp.Int("units", 4, 16, step=4), activation=hp.Choice("activation", ["relu", "tanh"])),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        mlkit.optimizers.Adam(hp.Float("rate", 1e-4, 1e-1, sampling="log")), "binary_crossentropy", metrics=["accuracy"]
    )
    return model


def search(made, **options):
    made.search(X, Y, **{"epochs": 2, "validation_split": 0.25, "verbose": 0, **options})
    return made


def random_search(tmp_path, hypermodel=build, objective="val_loss", max_trials=3, seed=1, name="one", **options):
    return tuner.RandomSearch(hypermodel, objective, max_trials, seed, directory=tmp_path, project_name=name, **options)


def told(made):
    return [(t.config(), t.score, t.status) for t in made.trials]


def test_a_bayesian_search_learns_from_its_trials(tmp_path):
    class Bowl(tuner.HyperModel):
        def build(self, hp):
            hp.Float("a", -10.0, 10.0)
            if hp.Choice("kind", ["x", "y"]) == "y":
                hp.Int("b", 1, 8, parent_name="kind", parent_values="y")
            return build(tuner.HyperParameters())

        def fit(self, hp, model, *args, **kwargs):
            return (hp.get("a") - 3) ** 2 + (hp.get("kind") == "x")

    options = {"max_trials": 24, "num_initial_points": 6, "seed": 0, "directory": tmp_path}
    made = search(tuner.BayesianOptimization(Bowl(), project_name="one", **options))
    distances = [abs(t.config()["a"] - 3) for t in made.trials]
    assert np.mean(distances[-8:]) < 4  # 5.5 at random
    assert told(search(tuner.BayesianOptimization(Bowl(), project_name="two", **options))) == told(made)


@pytest.mark.parametrize("kind", ["RandomSearch", "BayesianOptimization", "GridSearch"])
def test_a_search_finds_and_gives_back_its_best_model(kind, tmp_path, capsys):
    made = getattr(tuner, kind)(build, "val_accuracy", max_trials=3, seed=1, directory=tmp_path, project_name="one")
    search(made)
    assert [t.status for t in made.trials] == ["COMPLETED"] * 3
    best = made.get_best_trials(4)
    assert [t.score for t in best] == sorted((t.score for t in best), reverse=True)
    model = made.get_best_models()[0]
    assert model.evaluate(X[72:], Y[72:], verbose=0, return_dict=True)["accuracy"] == pytest.approx(best[0].score)
    assert made.get_best_hyperparameters()[0].values == best[0].config()
    made.results_summary(2)
    made.search_space_summary()
    said = capsys.readouterr().out
    assert f"Trial {best[0].trial_id} summary" in said
    assert "min_value=0.0001" in said


def test_weights_of_half_precision_come_back(tmp_path):
    def half(hp):
        model = mlkit.Sequential([mlkit.Input((8,)), layers.Dense(hp.Int("units", 1, 2), dtype="bfloat16")])
        model.compile("sgd", "mse")
        return model

    made = tuner.RandomSearch(half, "loss", max_trials=1, seed=1, directory=tmp_path)
    made.search(np.ones((4, 8)), np.ones((4, 1)), epochs=2, verbose=0)
    weights = made.get_best_models()[0].get_weights()
    assert [w.dtype.name for w in weights] == ["bfloat16"] * 2
    assert weights[1].any()


def test_what_came_of_a_trial_is_one_writing_of_the_journal(tmp_path, monkeypatch):
    """Others see a trial that is complete with its result, or none of both."""
    appended = []
    backend = journal.optuna.storages.journal.JournalFileBackend
    append = backend.append_logs
    monkeypatch.setattr(backend, "append_logs", lambda self, logs: appended.append(len(logs)) or append(self, logs))
    made = random_search(tmp_path, max_trials=1)
    appended.clear()
    search(made)
    assert appended == [1, 2]
    with pytest.raises(KeyError), made._store._journal.at_once():
        made._store.note("a", 1)
        raise KeyError
    assert made._store.noted("a") is None


def test_the_same_seed_is_the_same_search_and_another_one_is_not(tmp_path):
    one, two = (search(random_search(tmp_path, name=name, max_trials=2)) for name in ("one", "two"))
    assert told(one) == told(two)
    assert told(search(random_search(tmp_path, name="three", max_trials=1, seed=2))) != told(one)[:1]


def test_no_configuration_runs_twice_and_the_search_ends_with_the_last(tmp_path):
    class Small(tuner.HyperModel):
        def build(self, hp):
            hp.Choice("a", ["x", "y"])
            hp.Boolean("b")
            return build(tuner.HyperParameters())

        def fit(self, hp, model, *args, **kwargs):
            return float(hp.get("b"))

    for kind in (tuner.RandomSearch, tuner.BayesianOptimization, tuner.GridSearch):
        made = search(kind(Small(), max_trials=30, seed=3, directory=tmp_path, project_name=kind.__name__))
        assert sorted(map(str, (t.config() for t in made.trials))) == sorted(
            str({"a": a, "b": b}) for a in "xy" for b in (True, False)
        )


def test_a_trial_that_fails_is_noted_and_the_search_goes_on(tmp_path):
    def faulty(hp):
        kind = hp.Choice("kind", ["good", "shape", "nan", "memory"])
        if kind == "memory":
            raise MemoryError("no memory for the table")
        model = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(3 if kind == "shape" else 1)])
        model.compile(mlkit.optimizers.SGD(1e30 if kind == "nan" else 0.01), "mse")
        return model

    made = tuner.GridSearch(faulty, "val_loss", directory=tmp_path, project_name="one", max_consecutive_failed_trials=None)
    with np.errstate(all="ignore"):
        search(made, epochs=4, check=False)
    found = {t.config()["kind"]: t for t in made.trials}
    assert found["good"].status == "COMPLETED"
    assert {found[k].status for k in ("shape", "nan", "memory")} == {"FAILED"}
    assert "shape" in found["shape"].message
    assert found["nan"].message == "ValueError: The objective 'val_loss' is nan." or "is inf" in found["nan"].message
    assert found["memory"].message == "MemoryError: no memory for the table"
    assert "faulty" in (tmp_path / "one" / "trial_0003" / "traceback.txt").read_text()
    assert [t.number for t in made.get_best_trials(9)] == [found["good"].number]


def test_failures_in_a_row_end_the_search(tmp_path):
    def broken(hp):
        hp.Int("a", 1, 100)
        if len(calls) > 1:
            raise OSError("no disk")
        calls.append(1)
        return build(tuner.HyperParameters())

    calls = []
    made = random_search(tmp_path, broken, max_trials=10)
    with pytest.raises(RuntimeError, match="3 trials in a row have failed, the last with: OSError: no disk"):
        search(made)
    assert len(made.trials) == 3


def test_a_trial_is_tried_again_if_that_is_asked_for(tmp_path):
    class Flaky(callbacks.Callback):
        failures = [1, 1]

        def on_epoch_end(self, epoch, logs=None):
            if Flaky.failures:
                Flaky.failures.pop()
                raise OSError("once")

    made = random_search(tmp_path, max_trials=1, max_retries_per_trial=2)
    assert search(made, callbacks=[Flaky()]).trials[0].status == "COMPLETED"


@pytest.mark.parametrize(
    "objective, options, words",
    [
        ("val_acc_of_it", {}, "whether it should rise or fall"),
        (tuner.Objective("val_acc_of_it", "max"), {}, "will not be among the logs, which are loss, accuracy"),
        ("val_loss", {"validation_split": 0.0}, "validation_data"),
        (None, {}, "must be overridden"),
    ],
)
def test_an_objective_that_will_not_be_there_is_refused_before_the_first_trial(tmp_path, objective, options, words):
    with pytest.raises(ValueError, match=words):
        search(random_search(tmp_path, objective=objective), **options)
    assert not list(tmp_path.glob("one/trial_*"))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"max_trials": 0}, "max_trials"), ({"executions_per_trial": 0}, "executions"), ({"engine": "dask"}, "engine"),
        ({"pruner": "early"}, "pruner"), ({"hypermodel": 3}, "hypermodel"), ({"objective": 3}, "objective"),
        ({"hypermodel": lambda hp: hp.Int("a", 3, 1)}, "above `max_value`"), ({"hypermodel": lambda hp: None}, "compiled model"),
        ({"max_consecutive_failed_trials": 0}, "consecutive"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_and_leave_nothing(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        random_search(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_search_goes_on_where_it_was(tmp_path):
    whole = search(random_search(tmp_path, name="whole", max_trials=3))
    search(random_search(tmp_path, max_trials=1))
    assert told(search(random_search(tmp_path, max_trials=3))) == told(whole)
    assert len(search(random_search(tmp_path, max_trials=3)).trials) == 3


def test_another_space_or_objective_is_refused_on_resume(tmp_path):
    search(random_search(tmp_path, max_trials=1))

    def other(hp):
        hp.Float("rate", 1e-3, 1e-1, sampling="log")
        hp.Int("depth", 1, 2)
        return build(tuner.HyperParameters())

    with pytest.raises(ValueError, match="'units' is gone.*'depth' is new.*'rate' was min_value=0.0001.*overwrite=True"):
        random_search(tmp_path, other)
    with pytest.raises(ValueError, match="val_loss.*val_accuracy"):
        random_search(tmp_path, objective="val_accuracy")
    with pytest.raises(ValueError, match="its seed was 1, now it is 7"):
        random_search(tmp_path, seed=7)
    assert random_search(tmp_path, other, overwrite=True).trials == []


def test_executions_are_averaged(tmp_path):
    made = search(random_search(tmp_path, max_trials=1, executions_per_trial=2))
    single = search(random_search(tmp_path, max_trials=1, name="single"))
    trial = made.trials[0]
    assert trial.config() == single.trials[0].config()
    assert trial.score != single.trials[0].score
    scores = made._store.frozen()[0].user_attrs["executions"]
    assert trial.score == pytest.approx(np.mean(scores))
    assert scores[0] == single.trials[0].score


def test_pruning_ends_trials_in_mid_fit(tmp_path):
    made = tuner.Hyperband(build, "val_loss", max_epochs=4, factor=2, seed=1, directory=tmp_path, project_name="one")
    made.search(X, Y, validation_split=0.25, verbose=0)
    assert {t.status for t in made.trials} == {"COMPLETED", "STOPPED"}
    assert min(len(t.scores) for t in made.trials if t.status == "STOPPED") < 4
    assert all(len(t.scores) == 4 for t in made.trials if t.status == "COMPLETED")
    with pytest.raises(ValueError, match="max_epochs"):
        made.search(X, Y, epochs=7, validation_split=0.25)
    for wrong in ({"max_epochs": 0}, {"factor": 1}, {"hyperband_iterations": 0}, {"max_trials": 3}):
        with pytest.raises(ValueError, match="Hyperband"):
            tuner.Hyperband(build, "val_loss", directory=tmp_path, project_name="two", **wrong)


def test_a_hypermodel_of_ones_own_trains_as_it_likes(tmp_path):
    class Own(tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch", [8, 16, 32]), **kwargs)

    made = search(random_search(tmp_path, Own(), max_trials=2))
    assert "batch" in made.trials[-1].config()
    assert {t.config()["batch"] for t in made.trials if "batch" in t.config()} <= {8, 16, 32}

    class Number(Own):
        def fit(self, hp, model, *args, **kwargs):
            return hp.get("units") / 16

    numbers = search(random_search(tmp_path, Number(), None, 5, name="numbers"))
    assert numbers.get_best_trials()[0].score == min(t.config()["units"] for t in numbers.trials) / 16
    with pytest.raises(ValueError, match="kept no weights"):
        numbers.get_best_models()


def test_given_hyperparameters_hold(tmp_path):
    given = tuner.HyperParameters()
    given.Fixed("units", 12)
    with pytest.raises(ValueError, match="was asked for before"):
        random_search(tmp_path, hyperparameters=given)
    given = tuner.HyperParameters()
    given.Int("units", 4, 16, step=4)
    made = random_search(tmp_path, hyperparameters=given, tune_new_entries=False)
    search(made)
    assert {t.config()["activation"] for t in made.trials} == {"relu"}
    with pytest.raises(ValueError, match="allow_new_entries"):
        random_search(tmp_path, name="two", hyperparameters=given, allow_new_entries=False)


def test_trials_beside_each_other_share_the_cores(tmp_path, monkeypatch):
    made = random_search(tmp_path, max_trials=1)
    given = []
    monkeypatch.setattr(config, "num_threads", lambda: 8)
    monkeypatch.setattr(config, "set_num_threads", given.append)
    monkeypatch.setattr(made._store, "running_here", lambda: 3)
    search(made)
    assert given == [2, 8]


def test_without_optuna_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="pip install optuna"):
        random_search(tmp_path)


# ---- processes -------------------------------------------------------------------------------------------------------------------

SCRIPT = """
    import json, os, sys
    import numpy as np
    import mlkit
    from mlkit import layers, tuner

    folder, die_at, trials = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")

    def build(hp):
        model = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(hp.Int("units", 2, 64)), layers.Dropout(0.3), layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    class Death(mlkit.callbacks.Callback):
        comes_last = True
        epochs = 0

        def on_epoch_begin(self, epoch, logs=None):
            Death.epochs += 1
            if Death.epochs == die_at:
                os._exit(9)

    search = tuner.RandomSearch(build, "val_loss", trials, 5, directory=folder, project_name="shared", backup_seconds=0)
    search.search(x, x[:, :1], epochs=4, validation_split=0.25, verbose=0, callbacks=[Death()])
    print(json.dumps([[t.config(), t.score, t.status, sorted(t.scores.items())] for t in search.trials]))
"""


def process(script, *arguments):
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def finished(one):
    out, error = one.communicate(timeout=300)
    assert one.returncode == 0, error
    return json.loads(out.splitlines()[-1])


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "search.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


def test_a_killed_trial_goes_on_where_its_training_was_to_the_bit(tmp_path, script):
    whole = process(script, tmp_path / "whole", 0, 3)
    killed = process(script, tmp_path / "killed", 7, 3)  # before the third epoch of the second trial
    expected = finished(whole)
    killed.communicate(timeout=300)
    assert killed.returncode == 9
    assert finished(process(script, tmp_path / "killed", 0, 3)) == expected


def test_each_gpu_has_one_process(tmp_path, monkeypatch):
    chosen, made = [], random_search(tmp_path, max_trials=1)
    folder = made.project_dir
    monkeypatch.setattr(devices.config, "set_device", chosen.append)
    assert devices.resources() == {"cpu": 1}
    with devices.own_gpu(folder) as name:
        assert name is None
    monkeypatch.setattr(type(devices.state.backend), "devices", lambda self: ["cpu:0", "cuda:0", "cuda:1"])
    assert devices.resources() == {"cpu": 1, "gpu": 1}
    own = devices.state.backend.device_name
    with devices.own_gpu(folder) as first, devices.own_gpu(folder) as second:
        assert (first, second) == ("cuda:0", "cuda:1")
        with pytest.raises(RuntimeError, match="each of this machine's GPUs .cuda:0, cuda:1. has a process"):
            search(made)
        monkeypatch.setattr(devices.debug, "DEVICE", "cpu")
        with devices.own_gpu(folder) as name:
            assert name is None
    assert chosen == ["cuda:0", "cuda:1", own, own]
    with pytest.raises(ZeroDivisionError), devices.own_gpu(folder):
        raise ZeroDivisionError


def test_processes_share_a_search(tmp_path, script):
    several = [process(script, tmp_path, 0, 6) for _ in range(2)]
    found = [finished(one) for one in several]
    last = max(found, key=lambda trials: sum(t[2] == "COMPLETED" for t in trials))
    assert len(last) == 6
    assert len({str(t[0]) for t in last}) == 6


@pytest.mark.slow
def test_memory_is_flat_over_200_trials(tmp_path):
    import resource

    def wide(hp):
        model = mlkit.Sequential(
            [mlkit.Input((6,)), layers.Dense(hp.Int("units", 500, 3000), activation="relu"), layers.Dense(1)]
        )
        model.compile("adam", "mse")
        return model

    marks = []

    class Mark(callbacks.Callback):
        def on_train_begin(self, logs=None):
            with open("/proc/self/statm") as file:
                marks.append(int(file.read().split()[1]) * resource.getpagesize())

    search(random_search(tmp_path, wide, max_trials=200), epochs=1, callbacks=[Mark()])
    assert len(marks) == 200
    assert np.median(marks[180:]) - np.median(marks[40:60]) < 16 << 20
