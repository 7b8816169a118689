"""Sizes from which another way of computing pays: one registry; what is computed does not depend on them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit.core.thresholds import THRESHOLDS, threshold

ROOT = Path(__file__).parents[2]


def run_without(*arguments):
    """A run of Python in which all thresholds are 0."""
    environment = {**os.environ, "MLKIT_THRESHOLDS": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True)


def test_each_has_one_definition():
    import mlkit.compiler.passes.fuse_chains  # noqa: F401

    assert THRESHOLDS["fuse_chains"].default > 0
    assert "elements" in THRESHOLDS["fuse_chains"].why
    with pytest.raises(ValueError, match="There is a threshold 'fuse_chains' already"):
        threshold("fuse_chains", 1, "again")


def test_all_are_zero_where_the_environment_says_so():
    text = (
        "import mlkit.backends.native.threads as t, mlkit.backends.native.pages as p, mlkit.compiler.passes.fold as f;"
        "print(t.FOR_A_THREAD, p.LARGE, f.LARGEST)"
    )
    found = run_without("-c", text)
    assert found.stdout.split() == ["0", "0", "0"], found.stderr


def test_the_table_of_ops_with_all_at_zero():
    relu = "tests/ops/test_ops.py::test_staged[relu2]"  # compiled, relu may make 0 of NaN
    chosen = "-k", "test_staged or test_fused", "--deselect", relu
    found = run_without("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/ops/test_ops.py", *chosen)
    assert found.returncode == 0, found.stdout[-3000:]
