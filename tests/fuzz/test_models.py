"""A few models of the fuzz, the same each time; `python -m tests.fuzz.models --seed N` runs others."""

import numpy as np
import pytest

from tests.fuzz import models


@pytest.mark.parametrize("seed", range(4, 12))
def test_models_learn_alike_eagerly_compiled_and_on_jax(seed):
    assert models.failure(seed) is None


def test_a_wrong_number_is_found(monkeypatch):
    wrong = lambda numbers, x: [("output", models.trained(numbers, x)[0][1] + np.float32(1e-2))]
    monkeypatch.setattr(models, "on_jax", wrong)
    with pytest.raises(models.Disagreement, match="jax output"):
        models.check(models.draw(0))
