"""The backend that docs/backend.md builds passes the suite of every backend."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/backend.md").read_text(), re.DOTALL)


PLAIN = next(block for block in BLOCKS if "class PlainBackend" in block)


@pytest.fixture
def installed(tmp_path):
    """A folder with the page's backend as an installed package."""
    (tmp_path / "plain_backend.py").write_text(PLAIN)
    info = tmp_path / "plain_backend-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-backend\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[mlkit.backends]\nplain = plain_backend:PlainBackend\n")
    return tmp_path


def run(installed, *arguments):
    path = os.pathsep.join([str(ROOT), str(installed)])
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "pytest", "-q", "--backend", "plain", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return int(re.search(r"(\d+) passed", done.stdout).group(1))


def test_it_has_sixty_lines_at_most():
    assert len(PLAIN.splitlines()) <= 60


def test_it_passes_a_part(installed):
    files = [
        "test_tiny.py",
        "ops/test_boundary.py",
        "core/test_control.py",
        "core/test_ownership_of_memory.py",
        "core/test_backend.py",
    ]
    assert run(installed, *(f"tests/{f}" for f in files)) > 100
    assert run(installed, "tests/ops/test_ops.py", "-k", "test_spec or test_fused or test_bad_input", "--share", "1/10") > 250
