"""What a node takes of its host when it starts: an address, interpreters, open files."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from datetime import UTC, datetime
from pathlib import Path

from casemate.build import Interpreter, RuntimeStatus, find_interpreters
from casemate.model.errors import ProtectionMissingError, UnavailableError

NEEDED_FILES = 1024
"""Open files that each process of a node may need: descriptors of connections, databases and
instances. Most systems allow far more to be asked for."""


def offered_interpreters(wanted: tuple[str, ...]) -> list[Interpreter]:
    """Return the supported interpreters of this host. Raises ProtectionMissingError for none.

    One that is past its end of life is never offered.
    """
    today = datetime.now(UTC).date()
    found = find_interpreters(today=today, environ=os.environ)
    offered = [i for i in found if i.status is not RuntimeStatus.ENDED]
    if wanted and offered:
        offered = [i for i in offered if i.minor in wanted]
        missing = sorted(set(wanted) - {i.minor for i in offered})
        if missing:
            raise ProtectionMissingError(
                f"This host has no supported Python {', '.join(missing)}.",
                next_step="Install it, or leave out --python",
            )
    if not offered and found:
        ended = ", ".join(f"{one.minor} on {one.end_of_life}" for one in found)
        raise ProtectionMissingError(
            f"Each Python of this host is past its end of life by the host's clock, which says "
            f"{today}: {ended}.",
            next_step="Set the clock if it is wrong; else install a newer Python, and upgrade "
            "Casemate if it knows none.",
        )
    if not offered:
        raise ProtectionMissingError(
            "This host has no supported Python for functions (3.11 to 3.14).",
            next_step="Install one, for example: apt-get install python3",
        )
    return offered


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; the gateway listens on it. Raises UnavailableError."""
    try:
        # As bytes: a text is first looked through by rules for names in all scripts, which are
        # loaded for that, and which raise UnicodeError for a label that is too long.
        named = host.encode() if host.isascii() else host
        family, kind, protocol, _, address = socket.getaddrinfo(
            named, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        raise UnavailableError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}.",
            next_step="Choose another --port, or end what listens there.",
        ) from error
    return sock


_MIB = 1024 * 1024
_RESTING_PART = 4
"""Of the host's memory, one part of so many is for what waits for a call that may never come."""
_MEMORY_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's own limit is seen from inside; the last group may be the host's, without."""
_CPU_FILES = (
    Path("/sys/fs/cgroup/cpu.max"),
    Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""The same for processors, of either version."""


def host_memory() -> int:
    """Return the bytes of memory that there are for a node and its functions."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _MEMORY_FILES:
        with contextlib.suppress(OSError, ValueError):
            most = min(most, int(file.read_text()))
    return most


def host_cores() -> int:
    """Return how many cores there are for a node and its functions, as a container's limit says.

    Source: Linux, admin-guide/cgroup-v2 (cpu.max) and scheduler/sched-bwc (cpu.cfs_quota_us).
    """
    most = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = map(int, _CPU_FILES[0].read_text().split())
        most = min(most, quota // period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (int(file.read_text()) for file in _CPU_FILES[1:])
        most = min(most, quota // period) if quota > 0 else most
    return max(1, most)


def kept_memory(memory: int) -> int:
    """Return the bytes of the host's memory that functions together may not have.

    With them the gateway, the vault and the supervisor go on when functions fill all the rest.
    """
    return min(max(memory // 8, 256 * _MIB), 2048 * _MIB, memory // 2)


def resting_memory(memory: int) -> int:
    """Return the bytes of the host's memory that functions at rest may hold together."""
    return memory // _RESTING_PART


def raise_open_files() -> None:
    """Allow as many open files as the host lets this process ask for.

    Raises ProtectionMissingError if those are fewer than a node needs to answer at all.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        raise ProtectionMissingError(
            f"A process may open {hard} files here (ulimit -Hn), and a node needs at least "
            f"{NEEDED_FILES}.",
            next_step=f"Raise the limit: ulimit -n {NEEDED_FILES}, or LimitNOFILE= in its unit",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
