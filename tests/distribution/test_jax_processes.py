"""Two processes of two devices each, on JAX, as one of four."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(__file__).parent / "jax_process.py"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def started(folder, way, devices, **variables):
    env = {k: v for k, v in os.environ.items() if not k.startswith("KERAS_DISTRIBUTION")}
    env |= {
        "XLA_FLAGS": f"{env.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen([sys.executable, SCRIPT, folder, way], env={**env, **variables}, stderr=subprocess.PIPE, text=True)


def results(folder, way, processes):
    """What each process says; with one there is nobody to join."""
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    names = dict(JOB_ADDRESSES=address, NUM_PROCESSES=str(processes))
    running = []
    for k in range(processes):
        variables = {f"KERAS_DISTRIBUTION_{n}": v for n, v in {**names, "PROCESS_ID": str(k)}.items()} if processes > 1 else {}
        running.append(started(folder, way, 4 // processes, **variables))
    for process in running:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors[-4000:]
    return [json.loads((folder / f"{k}.json").read_text()) for k in range(processes)]


@pytest.mark.parametrize(
    "way", ["batch", pytest.param("parts", marks=pytest.mark.slow), pytest.param("own", marks=pytest.mark.slow)]
)
def test_two_processes_are_as_one(way, tmp_path):
    (alone,), both = results(tmp_path / "alone", way, 1), results(tmp_path / "both", way, 2)
    assert [r["processes"] for r in both] == [2, 2]
    assert both[0]["drawn"] == both[1]["drawn"]  # initialize() gave both the same seed
    for found in both:
        assert found["weights"] == both[0]["weights"]
        for name, values in alone["history"].items():
            np.testing.assert_allclose(found["history"][name], values, rtol=1e-5)
        for w, v in zip(found["weights"], alone["weights"], strict=True):
            np.testing.assert_allclose(w, v, atol=1e-5)
        if way != "own":
            np.testing.assert_allclose(found["predictions"], alone["predictions"], atol=1e-5)
            np.testing.assert_allclose(found["evaluate"], alone["evaluate"], rtol=1e-5)


@pytest.mark.slow
def test_each_process_writes_its_parts_of_a_backup_and_one_process_goes_on_from_it(tmp_path):
    (whole,) = results(tmp_path / "whole", "parts", 1)
    results(tmp_path / "saved", "saved", 2)
    names = sorted(path.name for path in (tmp_path / "backup").iterdir())
    assert names == ["backup_0.npz", "backup_0.npz.1", "training_state.json"]
    with np.load(tmp_path / "backup" / "backup_0.npz.1") as archive:
        rows = {name: archive[name].shape for name in archive if name.startswith("variable 0 ")}
    assert rows == {"variable 0 from 0 8": (12, 4), "variable 0 from 0 12": (12, 4)}  # of (12, 16)
    shutil.copytree(tmp_path / "backup", tmp_path / "damaged" / "backup")
    (tmp_path / "damaged" / "backup" / "backup_0.npz.1").unlink()
    (found,) = results(tmp_path / "resumed", "resumed", 1)
    for w, v in zip(found["weights"], whole["weights"], strict=True):
        np.testing.assert_allclose(w, v, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == ["backup_1.npz", "training_state.json"]
    _, errors = started(tmp_path / "damaged" / "run", "resumed", 1).communicate(timeout=200)
    assert "FileNotFoundError" in errors
    assert "backup_0.npz.1" in errors
