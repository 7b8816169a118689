"""Several hosts: network namespaces with a router between them. And how ranks are divided among hosts."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

from mlkit.distribution.hosts import divided, interface_of, network_settings, own_address
from tests.distribution.launching import ROOT
from tests.distribution.namespaces import hosts

SCRIPT = pathlib.Path(__file__).parent / "hosts_script.py"


@pytest.mark.parametrize(
    "given, ranks, found",
    [("a", 3, "a:3"), ("a,b", 3, "a:2,b:1"), ("a, b:1", 2, None), ("a:1,b:2", 3, "a:1,b:2"), ("a,b,c", 2, "a:1,b:1")],
)
def test_ranks_are_divided_among_hosts(given, ranks, found):
    if found is None:
        with pytest.raises(ValueError, match="for each host or for none"):
            divided(given, ranks)
    else:
        assert ",".join(map(str, divided(given, ranks))) == found


@pytest.mark.parametrize(
    "given, message",
    [
        ("a,a", "twice: a"),
        ("a,,b", "separated by commas"),
        ("a:1,b:1", "room for 2 ranks, but there are to be 4"),
        ("a:x", "at least 1"),
    ],
)
def test_hosts_that_do_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        divided(given, 4)


def test_the_network_is_tcp_unless_the_user_says_another():
    assert network_settings({}) == {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}
    assert network_settings({"UCX_TLS": "rc"}) == {}


def test_interfaces_are_found_by_address():
    assert own_address("127.0.0.1") == "127.0.0.1"
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("198.51.100.7") is None
    with pytest.raises(OSError, match="finds no way to 'no-such-host.invalid'"):
        own_address("no-such-host.invalid")


# ---- namespaces ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
    """A function that makes hosts."""
    pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
    open_ = []

    def make(count):
        block = hosts(count, tmp_path)
        try:
            open_.append(block)
            return block.__enter__()
        except OSError as error:
            open_.clear()
            pytest.skip(f"this machine does not let network namespaces be made: {error}")

    yield make
    for block in open_:
        block.__exit__(None, None, None)


def _weights(text):
    return np.array(text.split("weights ")[1].split(), "float64")


@pytest.mark.slow
@pytest.mark.native("processes of the native engine")
def test_two_hosts_train_as_one_process(made, tmp_path):
    network = made(2)
    job = network.start("--logs", network.private, SCRIPT, 3, tmp_path / "mark", workers=4)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}
    alone = subprocess.run(
        [sys.executable, SCRIPT, "3", tmp_path / "mark"], env=env, capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(_weights(out), _weights(alone.stdout), rtol=0, atol=1e-9)
    assert (network.private / "start-0" / "rank-3.log").exists()  # from a host whose files nobody else sees


@pytest.mark.slow
@pytest.mark.native("processes of the native engine")
def test_check_names_the_pair_that_cannot_talk(made):
    network = made(3)
    network.part(1, 2)
    job = network.start("--check", workers=3, MLKIT_COLLECTIVE_TIMEOUT="5")
    out, err = job.communicate(timeout=120)
    assert job.returncode == 1, err
    first, second, third = network.addresses
    assert f"rank 1 on {second} - rank 2 on {third}: cannot talk to one another" in out
    assert f"rank 0 on {first} - rank 2 on {third}: " in out
    assert out.count("cannot talk") == 1


@pytest.mark.slow
@pytest.mark.native("processes of the native engine")
def test_a_host_that_is_cut_off_is_named_and_all_ranks_stop(made, tmp_path):
    network, limit, mark = made(2), 4, tmp_path / "mark"
    job = network.start(SCRIPT, 10**6, mark, workers=4, MLKIT_COLLECTIVE_TIMEOUT=str(limit))
    end = time.monotonic() + 90
    while not mark.exists() and time.monotonic() < end and job.poll() is None:
        time.sleep(0.1)
    network.cut(1)
    start = time.monotonic()
    _, err = job.communicate(timeout=60)
    while _running(mark) and time.monotonic() - start < 60:
        time.sleep(0.1)
    seconds = time.monotonic() - start
    print(f"{seconds:.1f} s")
    assert job.returncode == 124
    assert f"host {network.addresses[1]} (ranks 2, 3) has not been heard of for 3 s" in err
    assert seconds < 2 * limit


def _running(mark):
    """Whether a rank with this argument is there still, on whatever host."""
    return subprocess.run(["pgrep", "-f", f"worker.*{mark}"], capture_output=True).returncode == 0
