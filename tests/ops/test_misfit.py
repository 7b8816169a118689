"""What fused ops make of arguments that may not fit together, each part in a process of its own: a crash fails one test."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.native("its fused kernels are held against composed ones")

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_fused_ops_refuse_what_their_composed_form_refuses_and_agree_with_it(part):
    command = [sys.executable, "-m", "tests.ops.misfit", str(part), str(PARTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1:]
    assert done.returncode == 0, f"status {done.returncode}; {last}\n{done.stdout}"
