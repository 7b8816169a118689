"""Kernels on the host under AddressSanitizer: none reads or writes beyond its arrays."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.cuda.host_compiler import COMPILER

HERE = pathlib.Path(__file__).parent
TESTS = tuple(f"test_{name}.py" for name in ("kernels", "multi_chain", "attention", "cells", "chains", "movement", "cudnn_rnn"))


def sanitizer():
    """The library of AddressSanitizer, or None where the compiler has none."""
    if COMPILER is None:
        return None
    found = subprocess.run([COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    return os.path.realpath(found) if os.path.isabs(found) else None


def run(tests, select):
    env = {
        **os.environ, "MLKIT_TEST_KERNELS": "-O1 -fsanitize=address -fno-omit-frame-pointer", "LD_PRELOAD": sanitizer(),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0:exitcode=99",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-s", "-p", "no:cacheprovider", *tests, "-k", select]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=HERE.parents[1])


pytestmark = pytest.mark.skipif(sanitizer() is None, reason="needs g++ with AddressSanitizer")


@pytest.mark.slow
def test_no_kernel_leaves_its_memory():
    done = run([str(HERE / t) for t in TESTS], "not backwards and not scattered and not order-1 and not order-5")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_one_that_does_is_found(tmp_path):
    """A kernel that reads one element too many."""
    (tmp_path / "test_it.py").write_text(
        "import numpy as np\n"
        "from mlkit.backends.native.cuda.row import Kernel\n"
        "from tests.cuda import fake_cupy\n"
        "from tests.cuda.host_compiler import HostModules\n"
        "def test_it():\n"
        "    modules = HostModules()\n"
        "    modules.want(Kernel('mlkit_wrong', 'float* x, float* y', 'y[threadIdx.x] = x[threadIdx.x + 1]', ()))\n"
        "    x, y = (fake_cupy.module.asarray(np.ones(32, 'float32')) for _ in range(2))\n"
        "    modules.function('mlkit_wrong')((1,), (32,), (x, y))\n"
    )
    done = run([str(tmp_path / "test_it.py")], "test_it")
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stdout + done.stderr
