"""Starting one script in several processes, and starting it again where one of them was killed."""

import contextlib
import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence

from mlkit.core.communicator import timeout
from mlkit.core.deferred import is_installed
from mlkit.core.exit_status import STOPPED, TIMED_OUT
from mlkit.core.machine import usable_cores
from mlkit.distribution import connections, supervisor
from mlkit.distribution.hosts import Host, divided, interface_of, network_settings, own_address
from mlkit.distribution.link import VARIABLE, Exchange

SCRIPT_FAILED = 1
_LEAST_END = 3.0  # seconds that mpiexec has to end all when one has failed
SILENCE = 0.75  # of the time that ranks wait for one another: after it a host that is not heard of is lost
_LOOK = 0.2  # seconds between looks at lost hosts
_PATIENCE = 60.0  # seconds that ranks that were asked to end have for it
_BANNER = b"=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES"  # with which mpiexec begins what it has to say
_RULE = b"\n" + b"=" * 80
_TAIL = 20  # lines of a log that are shown


@dataclasses.dataclass
class Ended:
    """How a rank has ended: its number, host, process, log, the status that `subprocess` knows, negative for a signal, and where."""

    rank: int
    host: str
    log: str
    pid: int
    code: int | None = None
    ended: float = float("inf")
    step: str = ""

    def __str__(self) -> str:
        if self.code is None:
            how = "had not ended"
        elif self.code < 0:
            how = f"was ended by {signal.Signals(-self.code).name}{self.step and ' '}{self.step}"
        elif self.code == TIMED_OUT:
            how = "has waited too long for other ranks"
        elif self.code == STOPPED:
            how = "has saved its training and ended, as it was asked to"
        else:
            how = f"has ended with exit status {self.code}"
        return f"rank {self.rank} on {self.host} (process {self.pid}) {how}. Its log: {self.log}"


class Asked:
    """What the launcher was asked to do by a signal. SIGTERM: let the ranks save their training and end. SIGUSR2: the same, and then start
    as many as at first. to_end, to_grow: whether."""

    def __init__(self) -> None:
        self.to_end = self.to_grow = False


def launch(
    command: Sequence[str],
    num_workers: int,
    max_restarts: int = 0,
    hosts: str | None = None,
    logs: str | None = None,
    min_workers: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run what `mlkit.distribution.worker` is to do in so many processes.

    SIGTERM is passed on to the ranks, which may save their training (`BackupAndRestore`). SIGUSR2 says that there is room for all workers
    again: a job that has lost some is saved, and goes on with all.

    Args:
        command: Arguments of the worker: a script and its own arguments.
        num_workers: How many processes.
        max_restarts: How often all are started again after one was ended by a signal or has waited too long. What a script raises
            it would raise again: that ends the job.
        hosts: Names of hosts, as ssh knows them, separated by commas; this one unless given. See `hosts.divided`.
        logs: Folder for the output of the ranks; a new temporary one, kept where a rank has failed, unless given. Each host has its
            own; of the others this one gets the last lines.
        min_workers: Each time that a rank is lost, the job goes on with one less, but not with less than so many; on one host. As many as
            before unless given.
        variables: Of the environment of the ranks, beside those of this process.

    Returns:
        0, or the exit status of the rank that failed first; 85 where the ranks have saved their training because of SIGTERM.

    Raises:
        ImportError: There is no MPI.
        ValueError: `num_workers` is less than 1, or `max_restarts` less than 0, or the hosts or `min_workers` do not fit.
    """
    if num_workers < 1 or max_restarts < 0:
        raise ValueError(
            f"launch: there must be at least 1 process, and 0 restarts, but got {num_workers} and max_restarts={max_restarts}."
        )
    if min_workers is not None and (hosts or not 1 <= min_workers <= num_workers):
        raise ValueError(
            f"launch: `min_workers` must be from 1 to the number of workers, on one host, but is {min_workers} of {num_workers}"
            f"{f' on {hosts}' if hosts else ''}."
        )
    nodes = divided(hosts, num_workers) if hosts else []
    folder = logs or tempfile.mkdtemp(prefix="mlkit-job-")
    os.makedirs(folder, exist_ok=True)
    workers, attempt, start = num_workers, 0, 0
    while True:
        place = os.path.join(folder, f"start-{start}")
        os.makedirs(place, exist_ok=True)
        asked = Asked()
        code, lost = _start(workers, nodes, place, start, command, asked, variables or {})
        start += 1
        if code == 0:
            if logs is None:
                shutil.rmtree(folder)
            return 0
        first = first_failed(place)
        if asked.to_end:
            return STOPPED if first is not None and first.code == STOPPED else 128 + signal.SIGTERM
        if asked.to_grow:
            print(f"mlkit launch: going on with {num_workers} processes instead of {workers}.", file=sys.stderr, flush=True)
            workers = num_workers
            continue
        print(explained(first, code, lost), file=sys.stderr, flush=True)
        if not lost and first is not None and first.code is not None and first.code >= 0 and first.code != TIMED_OUT:
            return first.code or SCRIPT_FAILED
        if attempt == max_restarts:
            break
        attempt += 1
        if min_workers is not None and workers > min_workers:
            workers -= 1
        print(
            f"mlkit launch: starting {'all' if workers == num_workers else workers} again ({attempt} of at most {max_restarts} times).",
            file=sys.stderr,
            flush=True,
        )
    if lost:
        return TIMED_OUT
    return SCRIPT_FAILED if first is None or first.code is None else first.code if first.code > 0 else 128 - first.code


def check(num_workers: int, hosts: str | None = None) -> int:
    """Print how fast each pair of processes can exchange messages; 0, or 1 if some pair cannot."""
    nodes = divided(hosts, num_workers) if hosts else []
    folder = tempfile.mkdtemp(prefix="mlkit-check-")
    try:
        _, lost = _start(num_workers, nodes, folder, 0, ["--check", folder], Asked(), {})
        lines, fine = connections.described(
            folder, [node.name for node in nodes for _ in range(node.ranks)] or [""] * num_workers
        )
    finally:
        shutil.rmtree(folder)
    print("\n".join([*lines, *([lost] if lost else [])]))
    return int(not fine)


def _start(num_workers, nodes, folder, attempt, command, asked, variables):
    """Run all ranks once: (exit status, which hosts were lost, a text or "")."""
    variables = {**environment(num_workers, nodes, folder, attempt), **variables}
    if not nodes:
        return _run(_command(num_workers, nodes, "lo", folder, command), variables, asked, folder), ""
    here = own_address(nodes[-1].name)
    exchange = Exchange(here, folder, [node.name for node in nodes for _ in range(node.ranks)], SILENCE * timeout())
    variables |= {VARIABLE: exchange.variable, **network_settings(variables)}
    try:
        code = _run(_command(num_workers, nodes, interface_of(here), folder, command), variables, asked, folder, exchange)
        return code, exchange.silent() if code else ""
    finally:
        exchange.close()


def _command(num_workers, nodes, interface, folder, command):
    launcher, is_hydra = mpiexec()
    options = ["-n", str(num_workers)]
    where = ",".join(map(str, nodes))
    if is_hydra:
        options += ["-hosts", where] if nodes else ["-launcher", "fork"]
        options += ["-iface", interface] if interface else []
    elif nodes:
        options += ["--host", where]
    return [launcher, *options, *kept(folder, command)]


def kept(folder: str, command: Sequence[str]) -> list[str]:
    """What mpiexec starts for each rank: a worker, by a parent that keeps its output in the folder."""
    keeper = [sys.executable, "-S", "-E", supervisor.__file__, folder]
    return [*keeper, sys.executable, "-u", "-m", "mlkit.distribution.worker", *command]


def mpiexec() -> tuple[str, bool]:
    """(path of mpiexec, whether it is MPICH's)

    Raises:
        ImportError: There is none.
    """
    beside = os.path.join(os.path.dirname(sys.executable), "mpiexec")
    path = beside if os.path.exists(beside) else shutil.which("mpiexec")
    if path is None or not is_installed("mpi4py"):
        missing = "mpiexec" if path is None else "mpi4py"
        raise ImportError(f'launch: there is no {missing}. Install MPI with: pip install "mlkit-engine[mpi]"')
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return path, "HYDRA" in version


def environment(num_workers: int, nodes: Sequence[Host], folder: str, attempt: int) -> dict[str, str]:
    """Variables for all ranks. nodes: the hosts, none for this one; attempt: how often the job was started again."""
    threads = max(1, usable_cores() // max((node.ranks for node in nodes), default=num_workers))
    return {"OMP_NUM_THREADS": str(threads), **os.environ, "MLKIT_JOB_FOLDER": folder, "MLKIT_RESTART": str(attempt)}


def _run(command, environment, asked, folder, exchange=None):
    """Run mpiexec; its exit status. An interrupt ends it and all that it has started; so does a host that is lost, or a rank that has left
    word in the folder that it failed: mpiexec itself does not always end the others then. Signals are passed on to the ranks, which have
    some time then."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=functools.partial(supervisor.die_with_parent, signal.SIGTERM),
    )
    output = threading.Thread(target=_pass_on, args=(process.stdout,), daemon=True)
    output.start()
    try:
        with _listening(process, asked):
            latest, failure = float("inf"), Failure(folder)
            while process.poll() is None:
                if failure.is_missed() or (exchange is not None and exchange.silent()):
                    if exchange is not None:
                        exchange.end()
                    end(process, 1)
                if asked.to_end or asked.to_grow:
                    latest = min(latest, time.monotonic() + _PATIENCE)
                if time.monotonic() > latest:
                    end(process, 10)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK)
        return process.returncode
    except BaseException:
        end(process, 10)
        raise
    finally:
        output.join(2)
        if not output.is_alive():  # who outlives mpiexec may hold the other end
            process.stdout.close()


class Failure:
    """Whether a rank has left word in a folder that it failed, and mpiexec has not ended the others, as it sometimes does not."""

    def __init__(self, folder: str):
        self._folder, self._seen = folder, float("inf")

    def is_missed(self) -> bool:
        """Whether it is so long ago that it first was seen here."""
        if _has_failed(self._folder):
            self._seen = min(self._seen, time.monotonic())
        return time.monotonic() - self._seen > _LEAST_END


def waited(process: subprocess.Popen, folder: str) -> int:
    """The exit status of mpiexec, or of a proxy of its, which is ended where it misses that a rank has failed."""
    failure = Failure(folder)
    while process.poll() is None:
        if failure.is_missed():
            end(process, 1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK)
    return process.returncode


@contextlib.contextmanager
def _listening(process, asked):
    """A block in which signals are noted and passed on, if this is the main thread. mpiexec itself passes on SIGUSR1."""

    def note(number, frame):
        asked.to_end, asked.to_grow = asked.to_end or number == signal.SIGTERM, asked.to_grow or number == signal.SIGUSR2
        process.send_signal(signal.SIGUSR1)

    numbers = (signal.SIGTERM, signal.SIGUSR2) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(process: subprocess.Popen, patience: float) -> None:
    """End mpiexec, and with it all that it has started; by force after so many seconds."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pass_on(stream):
    """Print what rank 0 prints, as it comes; not what mpiexec says of ranks that fail, which `explained` says better."""
    held = b""
    while piece := os.read(stream.fileno(), 1 << 16):
        own, banner, _ = (held + piece).partition(_BANNER)
        rule = own.rfind(_RULE)  # the line above it, which may come alone
        ends = rule >= 0 and own[rule:].strip(b"=\n") == b""
        own, held = (own[:rule], own[rule:]) if ends else (own, b"")
        sys.stdout.write(own.decode(errors="replace"))
        sys.stdout.flush()
        if banner:
            return
    sys.stdout.write(held.decode(errors="replace"))
    sys.stdout.flush()


def first_failed(folder: str) -> Ended | None:
    """The rank that failed first, of those that have left word; the launcher ends the others thereafter."""
    failed = [one for one in _reports(folder) if one.code != 0]
    return min(failed, key=lambda one: (one.ended, one.rank), default=None)


def _has_failed(folder):
    """Whether a rank has ended as none is to end."""
    return any(one.code not in (None, 0, STOPPED) for one in _reports(folder))


def _reports(folder):
    """What the parents of ranks have written of them so far."""
    found = []
    for name in os.listdir(folder):
        if name.startswith("rank-") and name.endswith(".json"):
            with open(os.path.join(folder, name)) as file:
                found.append(Ended(**json.load(file)))
    return found


def explained(first: Ended | None, code: int, lost: str = "") -> str:
    """What is known of a failure: the first rank that failed, if one left word, mpiexec's exit status, and the hosts that are lost."""
    if lost:
        return f"mlkit launch: {lost}. All ranks are stopped."
    if first is None:
        return f"mlkit launch: mpiexec has ended with exit status {code} before a rank began."
    with open(first.log, errors="replace") as file:
        last = file.read().splitlines()[-_TAIL:]
    said = "\n".join(f"  | {line}" for line in last)
    return f"mlkit launch: {first}" + (f", which ends:\n{said}" if said else " (empty)")
