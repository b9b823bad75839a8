"""Everything that bounds what a client can take from the server."""

from __future__ import annotations

import os
import resource

import msgspec

from casemate.model.errors import InvalidInputError

KIB = 1024
MIB = 1024 * KIB


_LEAST_BUDGET, _MOST_BUDGET, _BUDGET_SHARE = 256 * MIB, 1024 * MIB, 8


def buffer_budget() -> int:
    """Return the bytes of memory that requests and answers may take on this host."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(_LEAST_BUDGET, min(_MOST_BUDGET, memory // _BUDGET_SHARE))


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the HTTP server: sizes in bytes, times in seconds.

    Raises InvalidInputError if one is not positive (`linger_seconds`, `drain_idle_seconds` and
    `body_grace_seconds` may be 0): a limit cannot be switched off by setting it to nothing.
    """

    header_bytes: int = 32 * KIB
    """Request line and all header lines of one request."""
    header_count: int = 100
    target_bytes: int = 8 * KIB
    connections: int = 10_000
    """Open at once; never more than three quarters of RLIMIT_NOFILE (see `connection_cap`)."""
    connections_per_peer: int = 1024
    """Open at once from one IPv4 address or one IPv6 /64 network."""
    exempt_loopback: bool = False
    """True does not count 127.0.0.0/8 and ::1, for a reverse proxy on the same host."""
    header_seconds: float = 5.0
    """From the first byte of a request, or from accepting a connection, to its whole head."""
    body_seconds_idle: float = 10.0
    """Longest silence within a body."""
    body_grace_seconds: float = 10.0
    """Time a body may take before `body_min_rate` applies."""
    body_min_rate: int = 1 * KIB
    """Bytes a second that a body must average after its grace, and a response being read."""
    buffered_bytes: int = msgspec.field(default_factory=buffer_budget)
    """Request bodies and answers that were not taken yet, held in memory at once, over all
    connections: an eighth of the host's memory, but from 256 MiB to 1 GiB."""
    buffered_bytes_per_peer: int = msgspec.field(default_factory=lambda: buffer_budget() // 2)
    """The same for one IPv4 address or one IPv6 /64 network, trusted proxies excepted."""
    keep_alive_seconds: float = 75.0
    """Longest silence between two requests on a connection."""
    write_seconds: float = 30.0
    """A client that reads less than `body_min_rate` over this time is cut off."""
    linger_seconds: float = 2.0
    """Time a connection stays open for reading after our last byte, so that a client which is
    still sending receives the answer instead of a reset."""
    pipelined: int = 16
    """Pipelined requests answered before other connections have their turn."""
    drain_seconds: float = 30.0
    """Default time of `HttpServer.drain`."""
    drain_idle_seconds: float = 0.25
    """Silence after which a draining server closes a kept-alive connection."""
    drain_stall_seconds: float = 3.0
    """In place of `write_seconds` for answers that are streamed, while the server drains: who only
    follows something, and reads no more, is no reason to wait."""

    def __post_init__(self) -> None:
        """Refuse values that would switch a limit off."""
        may_be_zero = ("linger_seconds", "drain_idle_seconds", "body_grace_seconds")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, bool):
                continue
            if not value >= 0 or (value == 0 and name not in may_be_zero):
                raise InvalidInputError(
                    f"HTTP limit {name} is {value!r}, expected a positive number.",
                    next_step=f"Set {name} to a positive number or leave out the setting.",
                )

    def connection_cap(self) -> int:
        """Return the connections to hold at most: `connections`, less if descriptors are few."""
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self.connections
        return min(self.connections, max(1, soft * 3 // 4))

    def body_deadline(self, started: float, received: int, now: float) -> float:
        """Return by when more of a body must be there, of which so many bytes came so far."""
        slowest = self.body_grace_seconds + received / self.body_min_rate
        return min(now + self.body_seconds_idle, started + slowest)

    def sweep_seconds(self) -> float:
        """Return how often deadlines are looked at: 0.5, or a quarter of the shortest time."""
        shortest = min(
            self.header_seconds, self.body_seconds_idle, self.keep_alive_seconds, self.write_seconds
        )
        return max(0.005, min(0.5, shortest / 4))
