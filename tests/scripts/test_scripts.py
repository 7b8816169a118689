"""Scripts in the manner of public examples: under Keras and under mlkit they end in the same numbers."""

import keras
import numpy as np
import pytest

import mlkit
from mlkit.core import tree
from tests.scripts import sequences, training, vision  # noqa: F401  (each adds its scripts)
from tests.scripts.common import SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.__name__)
def test_a_script_ends_in_the_same_numbers(script):
    wanted, found = script(keras), script(mlkit)
    assert tree.flatten(tree.map_structure(type, found)) == tree.flatten(tree.map_structure(type, wanted))
    for a, b in zip(tree.flatten(found), tree.flatten(wanted), strict=True):
        if isinstance(a, str):
            assert a == b
        else:
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


def test_there_are_twenty_of_them():
    assert len(SCRIPTS) >= 20
