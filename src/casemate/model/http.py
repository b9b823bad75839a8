"""HTTP requests and responses as they cross from the server to the path and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import msgspec

from casemate.model.tracing import TraceContext, read_context

SERVER_PATH = "*"
"""The path of `OPTIONS *`, which concerns the server as a whole."""


class HttpHead(msgspec.Struct, frozen=True):
    """What is known before the body. Header names are lower case, in order, repeats kept."""

    method: str
    path: str
    """Still percent-encoded, without the query. Starts with `/`, or is `SERVER_PATH`."""
    query: str
    """Still percent-encoded, without the `?`; empty if there is none."""
    headers: tuple[tuple[bytes, bytes], ...]
    peer: str
    """Address of the client, without the port."""

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def trace(self) -> TraceContext | None:
        """Where its sender stands in a trace, None if it says nothing valid (W3C Trace Context)."""
        parents = [value for key, value in self.headers if key == b"traceparent"]
        if len(parents) != 1:
            return None
        states = [value for key, value in self.headers if key == b"tracestate"]
        return read_context(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))


class HttpRequest(msgspec.Struct, frozen=True):
    """A whole request."""

    head: HttpHead
    body: bytes


class HttpResponse(msgspec.Struct):
    """A response. A body that is an iterator is sent as it comes: with the `content-length` that
    the headers declare, which it has to keep, and chunked where they declare none."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | AsyncIterator[bytes] = b""
    close: bool = False
    """True ends the connection after this response."""
    paced: bool = False
    """True for a refusal that tells the caller to come back later: it leaves at the server's pace,
    and its connection is not read meanwhile."""


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


UNKNOWN_LIMIT = 64 * 1024
"""Bytes that may be sent by who has no key, and where nothing is."""


class Destination(NamedTuple):
    """What a request's head leads to."""

    limit: int
    """The most bytes that its body may have."""
    answer: Handler
    again: Callable[[], Destination | HttpResponse] | None = None
    """What to ask when the very same head comes again on the same connection; None: as before.

    It says all that the head before said without its being read again. What may have changed since,
    such as who may call what, it looks at anew."""
    plain: bool = False
    """True if the answer waits for nothing that needs a task of its own: only for futures, never
    with a time-out, and not for what cancels."""


class Undecided(NamedTuple):
    """A head of which another process decides; nothing of its body is read before it has."""

    found: Awaitable[Destination | HttpResponse]


Route = Callable[[HttpHead], Destination | HttpResponse]
"""Finds out where a request leads, or answers it before its body is read."""
AskedRoute = Callable[[HttpHead], Destination | HttpResponse | Undecided]
"""The same where another process may have to be asked."""
