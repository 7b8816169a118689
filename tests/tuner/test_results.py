"""What a search says of itself: its chart, its lines, its spaces; and what its parts refuse."""

import pytest

import mlkit
from mlkit import layers

pytest.importorskip("optuna", reason="the engine of mlkit.tuner")

from mlkit import tuner
from tests.tuner.test_tuner import X, Y, build, random_search, search


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return search(random_search(tmp_path_factory.mktemp("search")))


def test_the_chart_has_each_trial_and_the_best_so_far(searched):
    lines = searched.chart().lines
    numbers, scores = lines["trial"]
    assert list(numbers) == [0, 1, 2]
    assert list(lines["best so far"][1]) == [min(scores[: i + 1]) for i in range(3)]


def test_summaries_are_printed(searched, capsys):
    searched.results_summary(1)
    searched.search_space_summary(extended=True)
    searched.trials[0].summary()
    shown = capsys.readouterr().out
    assert "Trial 0000 summary" in shown
    assert "Default search space size: 3" in shown


def test_each_trial_is_told_as_it_ends(tmp_path, capsys):
    search(random_search(tmp_path, max_trials=1), verbose=1)
    assert "Trial 0000 completed: val_loss" in capsys.readouterr().out


def test_conditions_stand_in_the_extended_space(tmp_path, capsys):
    def conditional(hp):
        hp.Choice("kind", ["x", "y"])
        hp.Int("b", 1, 8, parent_name="kind", parent_values="y")
        return build(hp)

    made = random_search(tmp_path, conditional)
    made.search_space_summary(extended=True)
    assert "where kind is one of ['y']" in capsys.readouterr().out


def test_models_that_begin_without_an_input_cannot_be_given_back(tmp_path):
    def open_ended(hp):
        model = mlkit.Sequential([layers.Dense(hp.Int("units", 1, 4)), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    made = search(random_search(tmp_path, open_ended, max_trials=1))
    with pytest.raises(ValueError, match="the hypermodel's model is not built. Begin it with an Input"):
        made.get_best_models(1)


def test_parts_that_define_nothing():
    with pytest.raises(NotImplementedError, match=r"HyperModel must define build\(self, hp\)"):
        tuner.HyperModel().build(None)
    with pytest.raises(ValueError, match="leaves nothing to search"):
        tuner.HyperModel(tunable=False)
    with pytest.raises(ValueError, match="`name` must be the name of a value of the logs"):
        tuner.Objective("", "min")


def test_an_objective_that_training_does_not_give(tmp_path):
    made = random_search(tmp_path, objective=tuner.Objective("val_nothing", "min"), max_trials=1)
    with pytest.raises((ValueError, RuntimeError), match="val_nothing"):
        made.search(X, Y, epochs=1, validation_split=0.25, verbose=0)
