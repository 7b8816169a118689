"""What is known of the machine: one table of sizes, each with what found it; what is computed does not depend on them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit.compiler.passes import fuse_chains
from mlkit.core.machine import THRESHOLDS, usable_cores

pytestmark = pytest.mark.native("thresholds")

ROOT = Path(__file__).parents[2]


def run_without(*arguments):
    """A run of Python in which all thresholds are 0."""
    environment = {**os.environ, "MLKIT_THRESHOLDS": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True)


def test_each_is_asked_for_in_one_place():
    sources = "\n".join(p.read_text() for folder in ("mlkit", "backends") for p in sorted((ROOT / folder).rglob("*.py")))
    asked = re.findall(r'= threshold\("(\w+)"\)', sources)
    assert sorted(asked) == sorted(THRESHOLDS)
    assert THRESHOLDS["fuse_chains"].size == fuse_chains.SMALLEST


def test_each_was_found_by_a_benchmark():
    rows = [line for line in (ROOT / "docs" / "performance.md").read_text().splitlines() if line.startswith("| ")]
    script = (ROOT / "benchmarks" / "thresholds.py").read_text()
    for name, row in THRESHOLDS.items():
        if row.found == "script":
            assert f'"{name}": Case(' in script
        else:
            assert not row.found or any(line.startswith(f"| {row.found}") for line in rows), name


def test_cores_are_those_this_process_may_use():
    assert 1 <= usable_cores() <= os.cpu_count()


def test_all_are_zero_where_the_environment_says_so():
    text = (
        "import mlkit.backends.native.threads as t, mlkit.backends.native.memory_pages as p, mlkit.compiler.passes.fold as f;"
        "print(t.FOR_A_THREAD, p.LARGE, f.LARGEST)"
    )
    found = run_without("-c", text)
    assert found.stdout.split() == ["0", "0", "0"], found.stderr


def test_the_table_of_ops_with_all_at_zero():
    relu = "tests/ops/test_ops.py::test_staged[relu2]"  # compiled, relu may make 0 of NaN
    chosen = "-k", "test_staged or test_fused", "--deselect", relu
    found = run_without("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/ops/test_ops.py", *chosen)
    assert found.returncode == 0, found.stdout[-3000:]
