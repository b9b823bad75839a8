"""Where nodes listen: each in a network namespace of its own as root, else on a port of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from scripts.demo_cluster.errors import DemoError

_PORT = 8787
_BLOCKS = ("198.51.100", "203.0.113", "192.0.2")
"""Of documentation (RFC 5737), so that nobody's own network is taken."""


@dataclass(frozen=True)
class Place:
    """An address for one node, and the command that starts a program where it is."""

    host: str
    port: int
    prefix: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine reaches it by its nature."""
        return not self.prefix


@dataclass(frozen=True)
class Network:
    """Places for nodes, and the address at which they find what they share."""

    places: tuple[Place, ...]
    shared: str


@contextmanager
def network(count: int) -> Iterator[Network]:
    """Yield a network of so many places; what was made for it is taken away afterwards."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        ports = (Place("127.0.0.1", _PORT + 1 + number) for number in range(count))
        yield Network(tuple(ports), "127.0.0.1")
        return
    with ExitStack() as made:
        yield _namespaces(count, made)


def _namespaces(count: int, made: ExitStack) -> Network:
    """Make a bridge with an address, and namespaces at its ports."""
    mark = f"demo{os.getpid() % 100_000}"
    used = _ip("-br", "address", "show") + _ip("route", "show", "table", "all")
    base = next((one for one in _BLOCKS if f" {one}." not in used), None)
    if base is None:
        raise DemoError(f"{', '.join(_BLOCKS)} are all in use. Next: end what uses one of them.")
    _ip("link", "add", mark, "type", "bridge")
    made.callback(_ip, "link", "delete", mark)
    _ip("address", "add", f"{base}.1/24", "dev", mark)
    _ip("link", "set", mark, "up")
    places = []
    for number in range(1, count + 1):
        name, host = f"{mark}-{number}", f"{base}.{number + 1}"
        _ip("netns", "add", name)
        made.callback(_ip, "netns", "delete", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", name, "master", mark, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{host}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        # Not `ip netns exec`, which mounts another /sys, without control groups.
        places.append(Place(host, _PORT, ("nsenter", f"--net=/run/netns/{name}")))
    return Network(tuple(places), f"{base}.1")


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"`ip {' '.join(words)}` failed: {done.stderr.strip()[:300]}")
    return done.stdout
