"""Several hosts on one machine: network namespaces, each in a subnet of its own with a name of its own, and a router between them."""

import contextlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys

from tests.distribution.launching import ROOT

_REMOTE_SHELL = """#!/bin/sh
# as ssh: [-x] ADDRESS COMMAND ...   of a host that has memory, and a folder {private}, that no other one sees
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$(echo "$1" | cut -d. -f3); shift
exec ip netns exec {name}$host unshare --uts --mount sh -c "
    hostname host$host && mount -t tmpfs none /dev/shm && mount -t tmpfs none {private} && $*"
"""


class Hosts:
    """So many hosts; `launch` runs on the first.

    name: with which the names of the namespaces begin; folder: for the remote shell, and the folder that each host has for itself.
    """

    def __init__(self, name: str, count: int, folder: pathlib.Path):
        self._name, self._folder = name, folder
        self.addresses = [f"10.213.{k}.2" for k in range(count)]
        self.private = folder / "private"
        self.private.mkdir()

    def make(self):
        router = f"{self._name}r"
        self._ip("netns", "add", router)
        self._ip("netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for k, address in enumerate(self.addresses):
            host, way = f"{self._name}{k}", address.rpartition(".")[0] + ".1"
            self._ip("netns", "add", host)
            self._ip("link", "add", "net0", "netns", host, "type", "veth", "peer", "name", f"net{k}", "netns", router)
            for space, device, own in ((host, "net0", address), (router, f"net{k}", way)):
                self._ip("-n", space, "addr", "add", f"{own}/24", "dev", device)
                self._ip("-n", space, "link", "set", device, "up")
            self._ip("-n", host, "link", "set", "lo", "up")
            self._ip("-n", host, "route", "add", "default", "via", way)
        shell = self._folder / "remote_shell"
        shell.write_text(_REMOTE_SHELL.format(name=self._name, private=self.private))
        shell.chmod(shell.stat().st_mode | stat.S_IXUSR)
        subprocess.run([shell, "-x", self.addresses[-1], "true"], check=True, capture_output=True)

    def remove(self):
        for name in [f"{self._name}r", *(f"{self._name}{k}" for k in range(len(self.addresses)))]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def cut(self, host: int):
        """Take a host from the network."""
        self._ip("-n", f"{self._name}r", "link", "set", f"net{host}", "down")

    def part(self, one: int, other: int):
        """Two hosts cannot reach one another any more."""
        for a, b in ((one, other), (other, one)):
            self._ip("-n", f"{self._name}{a}", "route", "add", "blackhole", self.addresses[b])

    def start(self, *arguments, workers, **environment):
        """`python -m mlkit launch` on the first host, as a process whose output is piped."""
        env = {
            **os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native",
            "HYDRA_LAUNCHER_EXEC": str(self._folder / "remote_shell"), **environment,
        }  # fmt: skip
        command = [sys.executable, "-m", "mlkit", "launch", "-n", workers, "--hosts", ",".join(self.addresses), *arguments]
        return subprocess.Popen(
            ["ip", "netns", "exec", f"{self._name}0", *map(str, command)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _ip(*arguments):
        subprocess.run(["ip", *map(str, arguments)], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def hosts(count: int, folder: pathlib.Path):
    """A block in which there are so many hosts. OSError where this machine does not let namespaces be made."""
    if shutil.which("ip") is None:
        raise OSError("there is no program `ip`")
    made = Hosts(f"mlkit{os.getpid()}-", count, folder)
    try:
        made.make()
        yield made
    except subprocess.CalledProcessError as error:
        raise OSError(f"{' '.join(map(str, error.cmd[:4]))} ...: {error.stderr}") from error
    finally:
        made.remove()
