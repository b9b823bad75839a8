"""The client library: connections whose every wait and answer is bounded, and how values are read.

What is sent with values is `exchange`'s. The library comes with the extra `casemate[cluster]`.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg import adapt, pq
from psycopg.types import numeric

from casemate.postgresql import scram

T = TypeVar("T")

Error = psycopg.Error

CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 40.0
"""Longer than the server's own limits (`session`): what the server ends is known to be ended."""
MAX_ANSWER: Final = 256 * 1024 * 1024
"""Bytes that one statement may be answered with; libpq keeps all of them in memory."""


class Connection(psycopg.Connection[Any]):
    """Ends, with an error, what takes longer or answers more than it may."""

    answer_seconds: float | None = None
    """Of this one alone, in the place of ANSWER_SECONDS."""

    def wait(
        self,
        gen: Generator[Any, Any, T],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> T:
        """Wait for the library's generator."""
        longest = self.answer_seconds or ANSWER_SECONDS
        try:
            return super().wait(self._bounded(gen), interval=interval, timeout=timeout or longest)
        except psycopg.errors._WaitTimeout as error:
            # What comes later would be taken for the answer to the next question.
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the server has not answered for {longest:.0f} s"
            ) from error

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        taken = 0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                taken += waiting_bytes(self.pgconn.socket)
                if taken > MAX_ANSWER:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(
                        f"the server answers with more than {MAX_ANSWER >> 20} MiB"
                    )
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def waiting_bytes(descriptor: int) -> int:
    """Return how many bytes the kernel holds for the next read."""
    held = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", held)[0])


MAX_NUMBER: Final = 64
"""Bytes of a number as the server sends it, each two of which are four digits."""
_MAX_WEIGHT: Final = 16
"""Such places before the point: what is beyond 10**64 is of no use to anybody here, and of a number
in ten bytes that has 131,072 digits the processor makes them all."""


class _NumberLoader(numeric.NumericBinaryLoader):
    """What SQLite would have: sums of whole numbers are whole numbers."""

    def load(self, data: Any) -> Any:
        _digits, weight = struct.unpack_from("!hh", data)
        if len(data) > MAX_NUMBER or abs(weight) > _MAX_WEIGHT:
            raise ValueError("a number of more digits than are read")
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


class _TruthLoader(adapt.Loader):
    """What SQLite would have: 0 and 1."""

    format = pq.Format.BINARY

    def load(self, data: Any) -> int:
        return int(bytes(data) != b"\0")


def _adapters() -> adapt.AdaptersMap:
    adapters = adapt.AdaptersMap(psycopg.adapters)
    adapters.register_loader("numeric", _NumberLoader)
    adapters.register_loader("bool", _TruthLoader)
    return adapters


_ADAPTERS: Final = _adapters()


_UNTOLD: Final = {
    **dict.fromkeys(("hostaddr", "requirepeer", "sslcert", "sslkey", "sslcrl", "sslcrldir"), ""),
    "channel_binding": "prefer",
    "sslcertmode": "allow",
    "sslnegotiation": "postgres",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "",
    "load_balance_hosts": "disable",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}
"""What the library would take from its environment where nobody says it."""
_KNOWN: Final = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def connect(parameters: dict[str, str]) -> Connection:
    """Return a connection in autocommit mode. Raises Error, after 3 x CONNECT_SECONDS at most.

    The library never has the password: `casemate.postgresql.scram` says why.
    """
    untold = {name: value for name, value in _UNTOLD.items() if name in _KNOWN}
    wanted = {**untold, **parameters, "connect_timeout": str(CONNECT_SECONDS)}
    keyed = scram.keyed(wanted, CONNECT_SECONDS)
    try:
        return _connected(keyed)
    except psycopg.errors.ConnectionTimeout:
        raise
    except psycopg.OperationalError:
        anew = scram.keyed_anew(wanted, CONNECT_SECONDS)
        if anew is None:
            raise
        return _connected(anew)


def _connected(parameters: dict[str, str]) -> Connection:
    return Connection.connect(
        autocommit=True,
        prepare_threshold=None,  # `exchange` does, and the library would end all that it has
        context=_Context(),
        **parameters,  # type: ignore[arg-type]
    )


class _Context:
    """How the server's values are read."""

    adapters = _ADAPTERS
    connection = None
