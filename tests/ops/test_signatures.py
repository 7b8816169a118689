"""Names, parameter names and defaults of `mlkit.ops` are those of `keras.ops`."""

import inspect

import keras
import pytest
from keras.src.ops import core, numpy

import mlkit


def _names(module):
    return [
        n for n in dir(keras.ops) if callable(getattr(module, n, None)) and getattr(keras.ops, n).__module__ == module.__name__
    ]


def _parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("module", [numpy, core], ids=["numpy", "core"])
def test_every_name_is_there(module):
    assert [n for n in _names(module) if not hasattr(mlkit.ops, n)] == []


@pytest.mark.parametrize("name", sorted(n for n in mlkit.ops.__all__ if hasattr(keras.ops, n)))
def test_signature(name):
    assert _parameters(getattr(mlkit.ops, name)) == _parameters(getattr(keras.ops, name))
