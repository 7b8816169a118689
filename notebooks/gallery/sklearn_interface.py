"""A network as an estimator: in a pipeline, a grid search and a cross-validation of scikit-learn.

Paper: the interface is that of Buitinck et al., API design for machine learning software: experiences from the scikit-learn
    project, 2013 (https://arxiv.org/abs/1309.0238)
Data: wine, 178 samples of 13 measures from 3 vineyards (ships with scikit-learn, BSD).
Needs: SKLearnClassifier, models that other processes can be given.
Goal: accuracy over 5 folds, the grid searched within each; logistic regression in the same pipeline is the baseline.
"""

# %% The data and the network, whose width the grid search chooses
import numpy as np
from joblib.externals.loky import get_reusable_executor
from result import Result, main
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlkit as keras
from mlkit import layers


def network(X, y, units, rate):
    """X, y: the samples and targets that `fit` is about to see, targets one-hot."""
    model = keras.Sequential(
        [keras.Input(X.shape[1:]), layers.Dense(units, "relu"), layers.Dropout(0.2), layers.Dense(y.shape[1], "softmax")]
    )
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy")
    return model


# %% A search within each fold: what chose the width has not seen the fold it is judged by
def run(quick=False, seed=0):
    X, y = load_wine(return_X_y=True)
    fit_kwargs = {"epochs": 1 if quick else 25, "batch_size": 64 if quick else 16, "verbose": 0}
    net = keras.wrappers.SKLearnClassifier(network, model_kwargs={"units": 8, "rate": 0.01}, fit_kwargs=fit_kwargs)
    widths = (8,) if quick else (8, 32)
    grid = {"sklearnclassifier__model_kwargs": [{"units": n, "rate": 0.01} for n in widths]}
    folds = StratifiedKFold(2 if quick else 5, shuffle=True, random_state=0)
    search = GridSearchCV(make_pipeline(StandardScaler(), net), grid, cv=2 if quick else 3)
    found = cross_validate(search, X, y, cv=folds, n_jobs=1 if quick else 2, return_estimator=True)
    plain = cross_validate(make_pipeline(StandardScaler(), LogisticRegression()), X, y, cv=folds)
    best = [s.best_params_["sklearnclassifier__model_kwargs"]["units"] for s in found["estimator"]]
    losses = [v for s in found["estimator"] for v in s.best_estimator_[-1].history_.history["loss"]]
    if not quick:
        get_reusable_executor().shutdown(wait=True)  # the processes end here, so that their seconds count
    lines = [f"{'fold':>4} {'accuracy':>9} {'width':>6}"]
    lines += [f"{k:4d} {score:9.3f} {width:6d}" for k, (score, width) in enumerate(zip(found["test_score"], best, strict=True))]
    return Result(
        "accuracy", float(np.mean(found["test_score"])), plain["test_score"].mean(), 0.96, losses, text="\n".join(lines)
    )


# %%
if __name__ == "__main__":
    main(run, __file__)
