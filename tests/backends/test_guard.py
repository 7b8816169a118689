"""MLKIT_GUARD=1: no primitive reads or writes beyond what it was given, and the guard would notice."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn import guard, kernel_steps
from mlkit.backends.native.onednn.library import library
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.primitive import reorder

pytestmark = pytest.mark.skipif(library() is None, reason="needs oneDNN")


def test_all_samples_between_guard_bytes():
    command = [sys.executable, "-m", "tests.backends.guarded"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, MLKIT_GUARD="1"))
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr[-2000:]}"


def copying(source, target, size=4):
    """A guarded copy of so many floats, which takes the arrays to be as long."""
    desc = dense((size,))
    memories = {c.FROM: guard.Memory(desc, guard.address_of(source)), c.TO: guard.Memory(desc, guard.address_of(target))}
    return guard.execution(reorder(desc, desc), memories), memories


def floats(*values):
    return np.array(values, "float32")


def test_what_fits_is_computed():
    source, target = floats(1, 2, 3, 4), floats(0, 0, 0, 0)
    run, _ = copying(source, target)
    assert not run()
    assert (target == source).all()


@pytest.mark.parametrize("short", [c.FROM, c.TO])
def test_a_buffer_that_is_too_small(short):
    arrays = [floats(1, 2, 3) if name == short else floats(0, 0, 0, 0) for name in (c.FROM, c.TO)]
    run, _ = copying(*arrays)
    with pytest.raises(guard.GuardError, match="takes 16 bytes, but the array behind it has 12"):
        run()


@pytest.mark.parametrize("place", [-1, 16, 100])
def test_a_byte_written_beside_a_buffer(monkeypatch, place):
    def scribbling(what, memories):
        def run():
            start = ctypes.c_void_p()
            library().call("dnnl_memory_get_data_handle", memories[c.TO].handle, ctypes.byref(start))
            ctypes.memset(start.value + place, 7, 1)

        return run

    monkeypatch.setattr(guard.primitive, "execution", scribbling)
    run, _ = copying(floats(1, 2, 3, 4), floats(0, 0, 0, 0))
    with pytest.raises(guard.GuardError, match="wrote beyond the buffer"):
        run()


@pytest.mark.skipif(not kernel_steps.can_fork(), reason="needs OpenMP")
def test_an_error_beside_other_branches_is_raised():
    def fail():
        raise guard.GuardError("here")

    run = kernel_steps.side_by_side([[lambda: 0], [fail]])
    with pytest.raises(guard.GuardError, match="here"):
        run()
    assert not kernel_steps.side_by_side([[lambda: 0], [lambda: 0]])()
