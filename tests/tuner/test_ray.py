"""A search whose trials Ray Tune runs; in an environment of its own, for Ray is large."""

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="the other engine of mlkit.tuner")
pytest.importorskip("ray.tune", reason="the other engine of mlkit.tuner")
pytest.importorskip("optuna", reason="the engine of mlkit.tuner")

import mlkit  # noqa: E402
from mlkit import layers, tuner  # noqa: E402

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    yield
    ray.shutdown()


def build(hp):
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(hp.Int("units", 2, 64)), layers.Dense(1)])
    if hp.Choice("kind", ["good", "bad"]) == "bad":
        raise MemoryError("no memory")
    model.compile("adam", "mse")
    return model


def searched(tmp_path, name, trials, **options):
    made = tuner.RandomSearch(
        build, "val_loss", trials, 1, directory=tmp_path, project_name=name, max_consecutive_failed_trials=None, **options
    )
    made.search(X, X[:, :1], epochs=2, validation_split=0.25, verbose=0)
    return made


def test_ray_runs_the_same_search(tmp_path):
    alone, handed = searched(tmp_path, "alone", 4), searched(tmp_path, "handed", 4, engine="ray")
    assert [(t.config(), t.score, t.status, t.message) for t in handed.trials] == [
        (t.config(), t.score, t.status, t.message) for t in alone.trials
    ]
    assert {t.status for t in handed.trials} == {"COMPLETED", "FAILED"}
    best = handed.get_best_trials()[0]
    assert handed.get_best_models()[0].evaluate(X[48:], X[48:, :1], verbose=0) == pytest.approx(best.score)


def test_it_goes_on_with_either_engine(tmp_path):
    searched(tmp_path, "one", 2, engine="ray")
    assert len(searched(tmp_path, "one", 3).trials) == 3
    assert len(searched(tmp_path, "one", 4, engine="ray").trials) == 4
