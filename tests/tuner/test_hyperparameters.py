"""The space of a search: what may be asked for, and what is refused before anything runs."""

import pytest

from mlkit.tuner import HyperParameters, Objective
from mlkit.tuner.objective import objective_of
from mlkit.tuner.parameters import Choice, Float, Int, parameter_of
from mlkit.tuner.proposals import grid_size


@pytest.mark.parametrize(
    "kind, arguments, words",
    [
        ("Int", ("a", 5, 2), "`min_value` 5 is above `max_value` 2"),
        ("Int", ("a", 1, 2.5), "whole number"),
        ("Float", ("a", 0.0, 1.0, None, "log"), "above 0"),
        ("Float", ("a", -1.0, 1.0, None, "reverse_log"), "above 0"),
        ("Float", ("a", 1.0, 2.0, 0.0), "`step` must be above 0"),
        ("Int", ("a", 1, 8, 1, "log"), "`step` must be above 1"),
        ("Float", ("a", 1.0, 2.0, 0.1, "reverse_log"), "no `step`"),
        ("Float", ("a", 1.0, 2.0, None, "cubic"), "`sampling`"),
        ("Float", ("a", 1.0, 2.0, None, None, 3.0), "lies outside"),
        ("Float", ("a", "1", 2.0), "must be a number"),
        ("Float", ("a", float("nan"), 2.0), "must be a number"),
        ("Choice", ("a", []), "is empty"),
        ("Choice", ("a", [1, "b"]), "of one type"),
        ("Choice", ("a", [1, 1]), "twice"),
        ("Choice", ("a", ["x", "y"], True), "no order"),
        ("Choice", ("a", ["x", "y"], None, "z"), "none of"),
        ("Fixed", ("a", [1]), "str, int, float or bool"),
        ("Int", (3, 1, 2), "needs a name"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(HyperParameters(), kind)(*arguments)


def test_one_name_is_one_parameter():
    hp = HyperParameters()
    assert hp.Int("a", 1, 3) == 1
    assert hp.Int("a", 1, 3) == 1
    with pytest.raises(ValueError, match="was asked for before"):
        hp.Int("a", 1, 4)
    with pytest.raises(KeyError, match="no value"):
        hp.get("b")
    assert "a" in hp
    assert hp["a"] == 1


def test_values_of_all_kinds():
    assert [Int("a", (), 2, 16, 2, "log").value_of(k) for k in Int("a", (), 2, 16, 2, "log").grid()] == [2, 4, 8, 16]
    assert [Float("a", (), 0.0, 0.3, 0.1).value_of(k) for k in range(4)] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert Float("a", (), 1.0, 10.0, None, "reverse_log").value_of(1.0) == 10.0
    assert Choice("a", (), (1, 2, 4), True).value_of(2) == 4
    assert Int("a", (), 3, 5).grid() == [3, 4, 5]
    log = Float("a", (), 1e-3, 1.0, None, "log").grid()
    assert len(log) == 10
    assert log[-1] == 1.0
    for p in (Int("a", (), 2, 16, 2, "log"), Choice("b", (("a", (2, 4)),), ("x", "y"))):
        assert parameter_of(p.config()) == p


def test_conditions_decide_what_counts():
    def ask(hp):
        if hp.Choice("kind", ["mlp", "cnn"]) == "cnn":
            with hp.conditional_scope("kind", ["cnn"]):
                hp.Int("filters", 8, 16, step=8)
        else:
            hp.Boolean("wide", parent_name="kind", parent_values="mlp")

    hp = HyperParameters()
    ask(hp)
    assert hp.values == {"kind": "mlp", "wide": False}
    other = hp.copy()
    other.values = {"kind": "cnn"}
    ask(other)
    assert other.values == {"kind": "cnn", "filters": 8}
    assert grid_size(other.space) == 4  # two wide ones, two of the filters
    with pytest.raises(ValueError, match="no such parameter"), hp.conditional_scope("depth", [1]):
        hp.Int("b", 1, 2)


def test_directions_of_objectives():
    assert objective_of("val_loss") == Objective("val_loss", "min")
    assert objective_of("val_accuracy").direction == "max"
    assert objective_of("mae").direction == "min"
    assert objective_of("val_auc").direction == "max"
    with pytest.raises(ValueError, match="Objective"):
        objective_of("val_my_score")
    with pytest.raises(ValueError, match="'min' or 'max'"):
        Objective("val_my_score", "up")
