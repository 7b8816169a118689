"""The launcher is stopped, or killed: nothing of the job stays."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.distribution.launching import ROOT

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = [pytest.mark.slow, pytest.mark.native("processes of the native engine")]


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_stays(tmp_path, number):
    script = tmp_path / "script.py"
    script.write_text(f"import os, time\nopen(f'{tmp_path}/{{os.getpid()}}.pid', 'w').close()\ntime.sleep(100)\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}
    command = [sys.executable, "-m", "mlkit", "launch", "-n", "2", "--max-restarts", "3", "--logs", tmp_path / "logs", script]
    launcher = subprocess.Popen(command, env=env, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    end = time.monotonic() + 60
    while len(pids := [int(p.stem) for p in tmp_path.glob("*.pid")]) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(pids) == 2
    launcher.send_signal(number)
    status = launcher.wait(20)
    assert status == {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    end = time.monotonic() + 10
    while any(map(_alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(_alive, pids))
    assert not (tmp_path / "logs" / "start-1").exists()
