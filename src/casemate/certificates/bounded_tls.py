"""TLS in which a client sends data, and next to nothing beside it.

After its handshake a client may send other messages without end: new keys (KeyUpdate), and in
TLS 1.2 greetings that are refused. OpenSSL takes each and counts none. One costs ten times what it
takes to send its 27 bytes, so that a single connection had a core to itself. Before that, it takes
a greeting of 128 KiB in as many records, for 60 ms of the processor. Here OpenSSL is given a few
records at a time, and whoever sends many that hold no data is cut.
"""

from __future__ import annotations

import ssl
from typing import Any

MOST_BESIDE = 64
"""Records of the handshake, and after it those that held no data."""
SHARE = 8
"""Records with data that make up for one without: they may have a byte each, and cost a tenth."""
_AT_ONCE = 32
"""Records that OpenSSL gets before it is looked at what came of them."""
_READ_BYTES = 64 * 1024
_HEADER = 5
"""Bytes before each record: its kind, a version and, in the last two, its length."""


class TooMuchBesideError(ssl.SSLError):
    """A client sends records without data again and again."""

    def __init__(self) -> None:
        """Nobody is told: the connection is cut."""
        super().__init__(ssl.SSL_ERROR_SSL, "records without data again and again")


class BoundedTls(ssl.SSLObject):
    """One connection's TLS, for a client that is not trusted."""

    _incoming: ssl.MemoryBIO
    _given: ssl.MemoryBIO
    _rest: memoryview
    _header: bytes
    _missing: int
    _beside: int

    def bound(self, incoming: ssl.MemoryBIO, given: ssl.MemoryBIO) -> None:
        """Take what comes from `incoming`, and give it to OpenSSL by `given`, a part at a time."""
        self._incoming, self._given = incoming, given
        self._rest = memoryview(b"")
        self._header = b""
        """What is there of the next record's header."""
        self._missing = 0
        """Bytes of the present record that are still to come."""
        self._beside = 0
        """Records that were given, but those that held data and what they make up for: in parts of
        which each record has `SHARE`."""

    def do_handshake(self) -> None:
        """Go on with the handshake. OpenSSL bounds its bytes; this, in how many parts they come."""
        while True:
            try:
                super().do_handshake()
            except ssl.SSLWantReadError:
                if not self._take():
                    raise
            else:
                self._beside = 0
                return

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Read the data of at most one record. Raises TooMuchBesideError if there is none."""
        if not self._given.pending:
            self._take()
        while True:
            try:
                found = super().read(len, buffer)
            except ssl.SSLWantReadError:
                if not self._take():
                    raise
            else:
                self._beside = max(0, self._beside - SHARE - 1)
                return found

    def pending(self) -> int:
        """Return how many bytes can be read, and of what is not decrypted yet how many there are.

        Whoever reads until `incoming` is empty would leave what was taken of that.
        """
        return super().pending() + self._given.pending + len(self._rest)

    def unwrap(self) -> Any:
        """End it. Raises SSLWantReadError until the client has said so, too."""
        while True:
            try:
                return super().unwrap()
            except ssl.SSLWantReadError:
                if not self._take():
                    raise

    def _take(self) -> bool:
        """Give OpenSSL some records, and tell whether there were any."""
        if self._beside > MOST_BESIDE * SHARE:
            raise TooMuchBesideError
        if not self._rest:
            data = self._incoming.read(_READ_BYTES)
            if not data:
                if self._incoming.eof:
                    self._given.write_eof()
                return False
            if self._is_within_one(data):
                self._given.write(data)
                return True
            self._rest = memoryview(data)
        end = self._end_of_some(self._rest)
        self._given.write(self._rest[:end])
        self._rest = self._rest[end:]
        return True

    def _is_within_one(self, data: bytes) -> bool:
        """Tell whether this is one whole record, or a part of the present one; count it then."""
        size = len(data)
        if self._missing:
            if size > self._missing:
                return False
            self._missing -= size
            return True
        if self._header or size < _HEADER or size - _HEADER != data[3] << 8 | data[4]:
            return False
        self._beside += SHARE
        return True

    def _end_of_some(self, data: memoryview) -> int:
        """Return where so many records end as OpenSSL gets at once, and count them."""
        at, size, begun = 0, len(data), 0
        while at < size and begun < _AT_ONCE:
            if self._missing:
                step = min(self._missing, size - at)
                self._missing -= step
                at += step
                continue
            step = min(_HEADER - len(self._header), size - at)
            self._header += data[at : at + step]
            at += step
            if len(self._header) == _HEADER:
                self._missing = int.from_bytes(self._header[3:], "big")
                self._header = b""
                begun += 1
        self._beside += begun * SHARE
        return at


class BoundedContext(ssl.SSLContext):
    """Makes such connections, for those who give their bytes themselves (`wrap_bio`)."""

    sslobject_class = BoundedTls

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return a connection that reads `incoming` and writes `outgoing`."""
        given = ssl.MemoryBIO()
        made = super().wrap_bio(given, outgoing, server_side, server_hostname, session)
        if not isinstance(made, BoundedTls):
            raise TypeError("a connection of this context counts its records")
        made.bound(incoming, given)
        return made
