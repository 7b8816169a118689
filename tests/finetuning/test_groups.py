"""Groups of layers by depth and rates that fall towards the input."""

import pytest

import mlkit
from mlkit import layers
from mlkit.finetuning import discriminative_rates, layer_groups


def net():
    base = mlkit.Sequential([mlkit.Input((4,)), *(layers.Dense(4, name=f"d{i}") for i in range(5)), layers.ReLU()], name="base")
    x = mlkit.Input((4,))
    return mlkit.Model(x, layers.Dense(2, name="head")(base(x)))


def names(groups):
    return [[layer.name for layer in group] for group in groups]


def test_groups_are_balanced_whole_and_never_empty():
    model = net()
    assert names(layer_groups(model, 2)) == [["d0", "d1", "d2", "d3", "d4"], ["head"]]
    assert names(layer_groups(model, 4)) == [["d0", "d1"], ["d2"], ["d3", "d4"], ["head"]]
    assert names(layer_groups(model, 6)) == [["d0"], ["d1"], ["d2"], ["d3"], ["d4"], ["head"]]
    skewed = mlkit.Sequential(
        [mlkit.Input((4,)), layers.Dense(90, name="a"), layers.Dense(2, name="b"), layers.Dense(2, name="c")]
    )
    assert names(layer_groups(skewed, 3)) == [["a"], ["b"], ["c"]]
    with pytest.raises(ValueError, match="from 2 to 6"):
        layer_groups(model, 7)


def test_rates():
    model = net()
    factors = discriminative_rates(model, decay=4.0, groups=3)
    assert set(factors) == set(model.weights)
    assert [factors[layer.kernel] for group in layer_groups(model, 3) for layer in group] == [1 / 16] * 2 + [1 / 4] * 3 + [1.0]
    assert factors[model.get_layer("head").bias] == 1.0
    with pytest.raises(ValueError, match="at least 1"):
        discriminative_rates(model, decay=0.5)
