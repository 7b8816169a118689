"""Jobs whose processes somebody else starts, Ray or Spark: MPICH's mpiexec says what each host is to run, and waits for it."""

import importlib
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence

from mlkit.distribution import courier, hosts, launch, supervisor

_LINE, _LAST = "HYDRA_LAUNCH: ", "HYDRA_LAUNCH_END"
_BROKEN = 1.0  # seconds after which all know that a rank has died
_PATIENCE = 60.0  # seconds that mpiexec and its proxies have to begin
_FAREWELL = 10.0  # seconds in which all take leave, which they are told at the same time


class Job:
    """mpiexec on this host, which waits for a proxy of each host.

    Attributes:
        lines: What each host is to run, a line for the shell.

    Raises:
        RuntimeError: mpiexec is not MPICH's, or it does not say what to run.
    """

    def __init__(self, nodes: Sequence[hosts.Host], command: Sequence[str], environment: Mapping[str, str]):
        path, is_hydra = launch.mpiexec()
        if not is_hydra:
            raise RuntimeError(f"Ray and Spark need MPICH's mpiexec, but {path} is another. Install it with: pip install mpich")
        interface = hosts.interface_of(hosts.own_address(nodes[-1].name))
        self.process = subprocess.Popen(
            [
                path, "-launcher", "manual", "-n", str(sum(node.ranks for node in nodes)), "-hosts", ",".join(map(str, nodes)),
                *(["-iface", interface] if interface else []), *command,
            ],
            env={**environment, **(hosts.network_settings(environment) if len(nodes) > 1 else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        guard = threading.Timer(_PATIENCE, self.process.kill)
        guard.start()
        self.lines: list[str] = []
        said = []
        for line in map(bytes.decode, self.process.stdout):
            said.append(line)
            if line.startswith(_LINE):
                self.lines.append(line.removeprefix(_LINE).strip())
            elif line.startswith(_LAST):
                break
        guard.cancel()
        if len(self.lines) != len(nodes):
            self.end()
            raise RuntimeError(f"mpiexec did not say what {len(nodes)} host(s) are to run, but: {''.join(said) or 'nothing'}")

    def wait(self, folder: str) -> int:
        """Pass on what ranks print, until the job ends; its exit status. folder: where their parents on this host write down how they
        ended."""
        printing = threading.Thread(target=self._pass_on, daemon=True)
        printing.start()
        code = launch.waited(self.process, folder)
        printing.join(_BROKEN)
        if not printing.is_alive():
            self.process.stdout.close()
        return code

    def _pass_on(self):
        for line in self.process.stdout:
            sys.stdout.write(line.decode(errors="replace"))
            sys.stdout.flush()

    def end(self) -> None:
        """End mpiexec, and with it all ranks."""
        launch.end(self.process, 5)


def run_proxy(line: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start what one of `Job.lines` says, on its host; it ends with the thread that calls this. variables: for the ranks of this host,
    where the job itself does not have them."""
    return subprocess.Popen(
        shlex.split(line),
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: supervisor.die_with_parent(signal.SIGTERM),
    )


def grouped(places: Sequence[str]) -> list[hosts.Host]:
    """Hosts with their numbers of ranks, from the host of each process.

    >>> [str(host) for host in grouped(["a", "b", "a"])]
    ['a:2', 'b:1']
    """
    return [hosts.Host(name, places.count(name)) for name in dict.fromkeys(places)]


class Seat:
    """This process's place in a job: what MPI has to know to begin in it, brought by a courier that the host's proxy has started."""

    def __init__(self, folder: str, rank: int):
        end = time.monotonic() + _PATIENCE
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(courier.path(folder, rank))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise RuntimeError(f"rank {rank}: MPI's proxy has not begun after {_PATIENCE:g} s.") from None
                time.sleep(0.05)
        variables, files, _, _ = socket.recv_fds(self._socket, 1 << 16, 1)
        os.environ.update(json.loads(variables))
        if files:
            os.environ["PMI_FD"] = str(files[0])

    def leave(self) -> None:
        """Take leave of the others, which do the same now; not where one has died, for MPI would wait for it."""
        broken, _, _ = select.select([self._socket], [], [], _BROKEN)  # its end is all that a courier says
        if not broken and not courier.has_lost(self._folder):
            ending = threading.Thread(target=importlib.import_module("mpi4py.MPI").Finalize, daemon=True)
            ending.start()
            ending.join(_FAREWELL)
            self._socket.sendall(courier.DONE)
        self._socket.close()


def new_folder() -> str:
    """A folder for the sockets of couriers; its path is short, as the paths of sockets must be."""
    return tempfile.mkdtemp(prefix="mlkit-", dir="/tmp")


def courier_command(folder: str) -> list[str]:
    """What the proxy starts for each rank."""
    return [sys.executable, "-S", "-E", courier.__file__, folder]


def remove(folder: str) -> None:
    """Remove what a job has left."""
    shutil.rmtree(folder, ignore_errors=True)
