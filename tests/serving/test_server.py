"""`mlkit serve` as a process: what it prints, how it ends, and its workers."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import mlkit as keras
from mlkit import serving
from mlkit.__main__ import main
from tests.serving.asking import net, rows, until

for module in ("uvicorn", "httptools"):
    pytest.importorskip(module, reason="mlkit serve runs on it")
ROOT = pathlib.Path(__file__).parents[2]
BODY = json.dumps({"instances": [[0, 0, 0, 0]]})


class Process:
    """A server in a process of its own, once it says that it serves."""

    def __init__(self, *arguments, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlkit", "serve", "--port", "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
        line = self.process.stdout.readline()
        assert line.startswith("mlkit serves at http://127.0.0.1:"), line + self.process.stderr.read()
        self.port = int(line.split()[3].rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def connection(self):
        """A block with a connection to it."""
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))

    def ask(self, method, path, body=None, headers=()):
        with self.connection() as connection:
            connection.request(method, path, body, dict(headers))
            with connection.getresponse() as reply:
                return reply.status, reply.read()

    def end(self, number=signal.SIGTERM):
        """The exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "net.keras"
    net().save(path)
    return path


def test_it_serves_refuses_and_ends(file):
    with Process(f"net={file}", "--max-body", 0.1) as server:
        status, body = server.ask("POST", "/v1/models/net:predict", BODY)
        assert status == 200
        np.testing.assert_allclose(json.loads(body)["predictions"], net().predict(np.zeros((1, 4)), verbose=0), atol=1e-6)
        assert server.ask("GET", "/v2/health/ready") == (200, b'{"ready":true}')
        assert server.ask("POST", "/v1/models/net:predict", bytes(200_000))[0] == 413
        with server.connection() as connection:  # it is kept open, also after something was refused
            for body, wanted in ((bytes(150_000), 413), (BODY, 200), ("{", 400), (BODY, 200)):
                connection.request("POST", "/v1/models/net:predict", body)
                reply = connection.getresponse()
                assert (reply.status, bool(reply.read())) == (wanted, True)
        assert server.end() == 0
        assert server.process.stderr.read() == ""


def test_what_is_under_way_at_the_end_is_answered(tmp_path):
    x = keras.Input((300, 300), name="x")
    h = x
    for _ in range(30):
        h = keras.layers.Dense(300)(h)
    keras.Model(x, keras.layers.Rescaling(0.0)(h)).save(tmp_path / "slow.keras")
    body = json.dumps({"inputs": np.zeros((8, 300, 300)).tolist()})
    with Process(f"slow={tmp_path / 'slow.keras'}", "--max-batch-size", 1) as server:
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(server.ask("POST", "/v1/models/slow:predict", body)[0])) for _ in "ab"
        ]
        for thread in threads:
            thread.start()
        until(lambda: 'mlkit_queue_requests{model="slow"}' in server.ask("GET", "/metrics")[1].decode())
        time.sleep(0.5)
        assert server.end(signal.SIGINT) == 0
        for thread in threads:
            thread.join()
        assert found == [200, 200]


def test_a_file_that_cannot_be_served_ends_it(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"nothing")
    command = [sys.executable, "-m", "mlkit", "serve", f"net={tmp_path / 'net.keras'}", "--port", "0"]
    for arguments in ([], ["--workers", "2"]):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert done.returncode == 1
        assert "model 'net': version 1: ModelFileError" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "there is nothing to serve"),
        (["net"], "expected NAME=PATH, but got 'net'"),
        (["net=nowhere.keras"], "there is no file or folder 'nowhere.keras'"),
        (["--workers", "0", "net=nowhere"], "--workers must be 1 or more"),
        (["--host", "256.0.0.1", "--folder", "."], "256.0.0.1:"),
    ],
)
def test_arguments_that_are_refused(arguments, words, capsys):
    assert main(["serve", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--port", "70000"], "expected a number from 0 to 65535, but got '70000'"),
        (["--timeout", "nan"], "expected a positive number, but got 'nan'"),
        (["--memory-limit", "-1"], "expected a positive number, but got '-1'"),
        (["--max-body", "much"], "expected a positive number, but got 'much'"),
    ],
)
def test_numbers_that_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit):
        main(["serve", *arguments])
    assert words in capsys.readouterr().err


def test_a_body_that_does_not_come(file):
    with Process(f"net={file}", "--timeout", "0.5") as server, server.connection() as connection:
        connection.putrequest("POST", "/v1/models/net:predict")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")
        reply = connection.getresponse()
        assert (reply.status, reply.getheader("connection")) == (408, "close")
        assert json.loads(reply.read())["error"] == "the body did not come within 0.5 s."


def test_a_port_that_is_taken(file, capsys):
    with Process(f"net={file}") as server:
        assert main(["serve", f"net={file}", "--port", str(server.port)]) == 2
        assert (
            f"127.0.0.1:{server.port} cannot be listened at: Address already in use. Another program listens there; --port"
            in capsys.readouterr().err
        )


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not os.path.exists(f"/proc/self/task/{os.getpid()}/children"), reason="needs Linux's /proc")
def test_a_killed_worker_is_replaced_and_takes_only_its_own_requests_with_it(file):
    with Process(f"net={file}", "--workers", 2) as server:
        before = children(server.process.pid)
        assert len(before) == 2
        for _ in range(20):
            assert server.ask("POST", "/v1/models/net:predict", BODY)[0] == 200
        time.sleep(1)  # until the workers have put down what they counted
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(set(children(server.process.pid)) - set(before)) == 1)
        began = time.monotonic()
        for _ in range(20):  # connections to the one that is gone wait for the one that comes
            assert server.ask("POST", "/v1/models/net:predict", BODY)[0] == 200
        assert time.monotonic() - began < 60
        until(
            lambda: 'mlkit_request_seconds_count{model="net"} 40' in server.ask("GET", "/metrics")[1].decode()
        )  # of all three
        pids = children(server.process.pid)
        assert server.end() == 0
        assert not [p for p in pids if os.path.exists(f"/proc/{p}")]


def test_workers_end_with_the_process_that_started_them(file):
    with Process(f"net={file}", "--workers", 2) as server:
        pids = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        until(lambda: not [p for p in pids if _is_alive(p)])


def _is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_memory_is_flat_and_reloads_fail_nothing(tmp_path):
    """Fifty thousand requests, and a hundred new versions under load."""
    folder = tmp_path / "net"
    serving.publish(net(), folder)
    with Process(f"net={folder}", "--watch", 0.05) as server:
        rss = lambda: int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6
        failed = []
        body = json.dumps({"instances": rows(1).tolist()})

        def ask(count):
            with server.connection() as connection:
                for _ in range(count):
                    connection.request("POST", "/v1/models/net:predict", body)
                    reply = connection.getresponse()
                    reply.read()
                    if reply.status != 200:
                        failed.append(reply.status)

        def at_once(count):
            threads = [threading.Thread(target=ask, args=(count,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            return threads

        for thread in at_once(2_000):
            thread.join()
        before = rss()
        for thread in at_once(10_000):
            thread.join()
        assert rss() - before < 2
        threads = at_once(3_000)
        for seed in range(100):
            number = serving.publish(net(seed=seed), folder)
            until(lambda n=number: f'"{n}"' in server.ask("GET", "/v2/models/net")[1].decode(), 60)
            if seed == 10:
                before = rss()
        for thread in threads:
            thread.join()
        assert not failed
        assert rss() - before < 20
        assert server.end() == 0
