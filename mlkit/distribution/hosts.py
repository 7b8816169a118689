"""Hosts: which ranks run where, and by what network they talk."""

import collections
import dataclasses
import os
import socket
import struct
from collections.abc import Mapping

from mlkit.core.deferred import Deferred

fcntl = Deferred("fcntl", "Jobs on several hosts look up interfaces as Linux and macOS do (fcntl).")

_CHOOSE_NETWORK = ("MPIR_CVAR_CH4_NETMOD", "FI_PROVIDER", "UCX_TLS", "UCX_NET_DEVICES")
_ADDRESS_OF_INTERFACE = 0x8915  # SIOCGIFADDR
_ANY_PORT = 9  # nothing is sent there


@dataclasses.dataclass(frozen=True)
class Host:
    """A host, as ssh knows it, and how many ranks it has."""

    name: str
    ranks: int

    def __str__(self) -> str:
        return f"{self.name}:{self.ranks}"


def divided(hosts: str, num_workers: int) -> list[Host]:
    """Hosts with the ranks that each gets: those that follow one another, so that neighbours share memory.

    Args:
        hosts: Names separated by commas, each with ``:number`` behind it for so many ranks; else all have equally many, or one more.
        num_workers: How many ranks there are.

    Raises:
        ValueError: A name is empty or given twice, or the numbers do not fit.

    >>> [str(host) for host in divided("a,b", 5)]
    ['a:3', 'b:2']
    >>> [str(host) for host in divided("a:1,b:4", 5)]
    ['a:1', 'b:4']
    """
    parts = [part.strip().partition(":") for part in hosts.split(",")]
    names = [name for name, _, _ in parts]
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if not all(names) or twice:
        raise ValueError(
            f"hosts: {hosts!r} must be different names, separated by commas{f'; twice: {twice[0]}' if twice else ''}."
        )
    slots = [text for _, _, text in parts if text]
    if not slots:
        each, more = divmod(num_workers, len(names))
        return [Host(name, each + (k < more)) for k, name in enumerate(names) if each + (k < more)]
    if len(slots) < len(names) or not all(text.isdigit() and int(text) for text in slots):
        raise ValueError(f"hosts: {hosts!r} must give a number of ranks, at least 1, for each host or for none, as in a:2,b:2.")
    if sum(map(int, slots)) != num_workers:
        raise ValueError(f"hosts: {hosts!r} has room for {sum(map(int, slots))} ranks, but there are to be {num_workers}.")
    return [Host(name, int(text)) for name, _, text in parts]


def network_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for MPICH between hosts: plain TCP by libfabric.

    Its other way, UCX, takes memory for a network where hosts share a kernel, and did not find routes to hosts of other subnets. Who has a
    faster network names it by MPICH's own variables, and then nothing is set here.
    """
    if any(name in environment for name in _CHOOSE_NETWORK):
        return {}
    return {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}


def use_interface_to(address: str) -> None:
    """Have libfabric, in this process, use the interface from which that address is reached, not the first one that is there (a
    container's bridge, say). Nothing happens where it is not to use TCP, or an interface was named by the user."""
    if not address or os.environ.get("FI_PROVIDER") != "tcp" or "FI_TCP_IFACE" in os.environ:
        return
    name = interface_of(own_address(address))
    if name is not None:
        os.environ["FI_TCP_IFACE"] = name


def own_address(other: str) -> str:
    """The address from which this host talks to another one, an IPv4 address.

    Raises:
        OSError: The other one's name is not known, or there is no way to it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((other, _ANY_PORT))
        except OSError as error:
            raise OSError(f"hosts: this host finds no way to {other!r}: {error}. Is it the name that ssh knows?") from error
        return probe.getsockname()[0]


def interface_of(address: str) -> str | None:
    """Name of this host's interface that has an IPv4 address; None if none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(probe, _ADDRESS_OF_INTERFACE, struct.pack("256s", name.encode()))
            except OSError:  # it has no address
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None
