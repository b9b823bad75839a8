"""The client library: connections whose every wait and answer is bounded, and what values become.

No other module imports it but `faults`. It comes with the extra `casemate[cluster]`.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import adapt, generators, pq, raw_cursor
from psycopg.types import bool as bools
from psycopg.types import numeric, string

from casemate.postgresql.arrays import KINDS, Array, Constant

T = TypeVar("T")

Error = psycopg.Error
RawCursor = raw_cursor.RawCursor[Any]

CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 40.0
"""Longer than the server's own limits (`session`): what the server ends is known to be ended."""
MAX_ANSWER: Final = 256 * 1024 * 1024
"""Bytes that one statement may be answered with; libpq keeps all of them in memory."""
PREPARED: Final = 512
"""Statements that the server keeps prepared for a connection."""


class _Pipeline(psycopg.Pipeline):
    """Says nothing after its end.

    The library's asks the server to send what it has once more after that. The server takes it for
    the beginning of the next statement, and no longer ends a transaction in which none follows
    (`idle_in_transaction_session_timeout`): a node that is frozen or cut off then would keep the
    lock of its project from all others.
    """

    def _exit_gen(self) -> Generator[Any, Any, None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
        finally:
            if self.result_queue:
                yield from generators.send(self.pgconn)
                yield from self._fetch_gen(flush=False)


class Connection(psycopg.Connection[Any]):
    """Ends, with an error, what takes longer or answers more than it may."""

    answer_seconds: float | None = None
    """Of this one alone, in the place of ANSWER_SECONDS."""

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """Have statements sent without waiting for the answer of each."""
        if self._pipeline is None:
            self._pipeline = _Pipeline(self)
        with super().pipeline() as made:
            yield made

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
                taken += self._waiting()
                if taken > MAX_ANSWER:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(
                        f"the server answers with more than {MAX_ANSWER >> 20} MiB"
                    )
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _waiting(self) -> int:
        """Return how many bytes the kernel holds for the next read."""
        held = fcntl.ioctl(self.pgconn.socket, termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", held)[0])


class _NumberLoader(numeric.NumericBinaryLoader):
    """What SQLite would have: sums of whole numbers are whole numbers."""

    def load(self, data: Any) -> Any:
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


class _TruthLoader(adapt.Loader):
    """What SQLite would have: 0 and 1."""

    format = pq.Format.BINARY

    def load(self, data: Any) -> int:
        return int(bytes(data) != b"\0")


class _EncodedDumper(adapt.Dumper):
    """Sends what is encoded already."""

    format = pq.Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return obj.encoded  # type: ignore[no-any-return]


def _dumper_of(kind: type[Array | Constant]) -> type[_EncodedDumper]:
    return type(f"{kind.__name__}Dumper", (_EncodedDumper,), {"oid": kind.oid})


def _adapters() -> adapt.AdaptersMap:
    adapters = adapt.AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, numeric.Int8BinaryDumper)
    adapters.register_dumper(float, numeric.FloatBinaryDumper)
    adapters.register_dumper(str, string.StrBinaryDumper)
    adapters.register_dumper(bytes, string.BytesBinaryDumper)
    adapters.register_dumper(bool, bools.BoolBinaryDumper)
    for kind in set(KINDS.values()):
        adapters.register_dumper(kind, _dumper_of(kind))
        adapters.register_dumper(kind.constant, _dumper_of(kind.constant))
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
    """Return a connection in autocommit mode. Raises Error, after CONNECT_SECONDS at most.

    But a server says how often the password is hashed (RFC 5802, 5.1): the library does so at one
    go, without a bound, a million times a second.
    """
    untold = {name: value for name, value in _UNTOLD.items() if name in _KNOWN}
    connection = Connection.connect(
        autocommit=True,
        prepare_threshold=3,
        context=_Context(),
        **{**untold, **parameters, "connect_timeout": CONNECT_SECONDS},  # type: ignore[arg-type]
    )
    connection.prepared_max = PREPARED
    return connection


class _Context:
    """How values are turned into the server's and back."""

    adapters = _ADAPTERS
    connection = None
