"""The comparison of drawn models with Keras: models are the same each time, faults are found, made smaller and printed."""

import pytest

import mlkit

pytest.importorskip("keras")
from tests.fuzz.against_keras import Call, Disagreement, Drawn, check, draw, main, shrunk, verdict

CHAIN = Drawn(
    (4, 5),
    0,
    (
        Call("y1", "Dense", (("units", "3"), ("activation", '"tanh"')), ("x",)),
        Call("y2", "ReLU", (("max_value", "6.0"),), ("y1",)),
        Call("y3", "Add", (), ("y1", "y2"), "list"),
        Call("y4", "LayerNormalization", (), ("y3",)),
    ),
    "Adam(0.003)",
    "huber",
    "mae",
)


def test_a_seed_gives_one_model():
    for seed in range(10):
        assert draw(seed) == draw(seed)
        assert len(draw(seed).calls) <= 8


def test_what_agrees_and_what_both_refuse():
    assert check(CHAIN) == "same"
    wrong = Call("y1", "Dense", (("units", "-1"),), ("x",))
    assert check(Drawn((4, 5), 0, (wrong,), "SGD(0.01)", "mse", "mse")) == "refused"


def test_a_wrong_number_is_found_made_smaller_and_printed(monkeypatch):
    monkeypatch.setattr(mlkit.layers.ReLU, "call", lambda self, x: x * 0.5)
    kind, _ = verdict(CHAIN)
    assert kind == "predictions"
    small = shrunk(CHAIN, lambda d: verdict(d)[0] == kind)
    assert [c.layer for c in small.calls] == ["ReLU"]
    assert small.calls[0].options == ()
    script = small.script(kind)
    assert "y2 = L.ReLU()(x)" in script
    with pytest.raises(Disagreement, match="predictions"):
        exec(script, {})


def test_what_one_library_refuses_alone_is_found(monkeypatch):
    def refuse(self, x):
        raise ValueError("no")

    monkeypatch.setattr(mlkit.layers.ReLU, "call", refuse)
    assert verdict(CHAIN)[0] == "only mlkit refuses"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed, count", [(20, 2), pytest.param(22, 8, marks=pytest.mark.slow)])
def test_drawn_models(seed, count, capsys):
    assert not main(["--count", str(count), "--seed", str(seed)]), capsys.readouterr().out
