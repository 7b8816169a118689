"""Models in pipelines and searches of scikit-learn."""

import subprocess
import sys

import numpy as np
import pytest

import mlkit


def network(X, y, loss="mse", units=8, activation=None):
    outputs = y.shape[1] if y.ndim > 1 else 1
    x = mlkit.Input((X.shape[1],))
    model = mlkit.Model(x, mlkit.layers.Dense(outputs, activation=activation)(mlkit.layers.Dense(units, activation="relu")(x)))
    model.compile(mlkit.optimizers.Adam(0.02), loss)
    return model


CLASSES = {"loss": "categorical_crossentropy", "activation": "softmax"}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LABELS = np.where(X[:, 0] > 0, "yes", "no")


def test_without_scikit_learn_they_say_what_is_missing():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import mlkit\n"
        "try: mlkit.wrappers.SKLearnClassifier(None)\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'scikit-learn>=1.6'" in done.stdout


def estimator(kind, model, **options):
    pytest.importorskip("sklearn")
    return getattr(mlkit.wrappers, f"SKLearn{kind}")(model, **options)


def test_classifier():
    found = estimator("Classifier", network, model_kwargs=CLASSES, fit_kwargs={"epochs": 40, "verbose": 0}).fit(X, LABELS)
    assert found.classes_.tolist() == ["no", "yes"]
    assert found.score(X, LABELS) > 0.9
    assert set(found.predict(X)) == {"no", "yes"}
    assert found.decision_function(X).shape == (60, 2)
    for targets, words in ((np.zeros(60), "one class"), (RNG.normal(size=60), "Only binary and multiclass")):
        with pytest.raises(ValueError, match=words):
            found.fit(X, targets)


def test_regressor():
    y = X @ [1.0, -2.0, 0.5, 0.0]
    found = estimator("Regressor", network, fit_kwargs={"epochs": 80, "verbose": 0}).fit(X, y)
    assert found.predict(X).shape == (60,)
    assert found.score(X, y) > 0.8
    found.fit(X, np.stack([y, -y], axis=1))
    assert found.predict(X).shape == (60, 2)


def test_models_are_copied_unless_one_goes_on():
    model = network(X, np.zeros((60, 1)))
    before = model.get_weights()
    estimator("Regressor", model).fit(X, X[:, 0], verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before))
    going = estimator("Regressor", model, warm_start=True)
    first = going.fit(X, X[:, 0], verbose=0).model_
    assert going.fit(X, X[:, 0], verbose=0).model_ is first
    with pytest.raises(RuntimeError, match="compiled"):
        estimator("Regressor", mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(1)])).fit(X, X[:, 0])


@pytest.mark.parametrize("jobs", [1, 2])
def test_pipelines_and_searches(jobs):
    made = estimator("Classifier", network, fit_kwargs={"epochs": 20, "verbose": 0})
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipe = make_pipeline(StandardScaler(), made)
    grid = {"sklearnclassifier__model_kwargs": [{**CLASSES, "units": n} for n in (2, 8)]}
    found = GridSearchCV(pipe, grid, cv=2, n_jobs=jobs, error_score="raise").fit(X, LABELS)
    assert found.best_score_ > 0.6
    features = estimator("Transformer", network, fit_kwargs={"epochs": 20, "verbose": 0})
    both = make_pipeline(features, LogisticRegression()).fit(X, (LABELS == "yes") * 1.0)
    assert both.score(X, (LABELS == "yes") * 1.0) > 0.8
