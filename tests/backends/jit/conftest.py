"""What the tests here compile is kept in a folder of their own, and done when they end."""

import pytest

from mlkit.backends.native.jit import compiler
from mlkit.core import debug


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    monkeypatch.setattr(debug, "JIT", "")
    yield
    assert compiler.wait(60)
