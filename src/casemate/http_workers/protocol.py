"""What the gateway and a worker say to each other: frames on one stream socket.

A frame is a kind, the number of the connection it is about, and what its kind says. A worker
numbers its connections, each number once; of each connection one request is under way at a time.
The gateway takes nothing of a worker for granted: what is not due ends the worker.
"""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum

import msgspec

from casemate.certificates.key_pair import KeyPair
from casemate.child.channel import Bounds
from casemate.child.frames import FrameError
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.http import HttpHead, HttpResponse
from casemate.triggers.http_server import HttpLimits, InvalidResponseError
from casemate.triggers.http_server.request_head import is_parsed

SMALL_BYTES = 64 * 1024
"""A body up to this goes with its head: who has no key may send as much anywhere. Of what is longer
the gateway is asked before any of it is read."""
PIECE_BYTES = 1 << 20
"""Of a longer body, or a longer answer, in one frame."""
SETTLED_BYTES = 16 << 20
"""What is large waits for as long as more than this waits for the other end."""
MAX_DETAIL = 200
_MAX_HEAD = 256 * 1024
"""Encoded: a head of HTTP, with an address, is some 32 KiB."""
_MAX_UNSENT = 512 << 20
GATEWAY_BOUNDS = Bounds(
    frame=_MAX_HEAD + PIECE_BYTES + SMALL_BYTES, unsent=_MAX_UNSENT, buffer=4 << 20
)
"""What the gateway takes of a worker, and a worker of it."""


class Kind(IntEnum):
    """What a frame says. Those of a worker first."""

    ADMIT = 1
    """A connection was accepted from an address: may it be?"""
    RELEASE = 2
    """It is gone. Of the body that was allowed the rest follows, if it says so; else none does."""
    ASK = 3
    """A head: what of its body may be read?"""
    CALL = 4
    """A head with its whole body."""
    AGAIN = 5
    """The last head again, with another body."""
    BODY = 6
    """A piece of the body that was allowed; the last one says so."""
    PULL = 7
    """The next part of a streamed answer is wanted."""
    STOP = 8
    """No further part of it is."""
    REFUSED = 9
    """What is no request was refused, of no connection."""
    COUNTED = 10
    """Handshakes that failed so far, of no connection."""
    LISTENING = 11
    DRAINED = 12

    LISTEN = 65
    """The settings of a new worker, which then listens."""
    CERTIFICATE = 66
    """For new connections from now on."""
    DRAIN = 67
    """Accept no more, end what is under way within so many seconds, and say DRAINED."""
    ADMITTED = 68
    """A status to refuse a connection with, or 0, and the seconds that its handshake waits."""
    ALLOWED = 69
    """Bytes that the body of a head may have."""
    PART = 70
    """A part of an answer that ends with ANSWER."""
    ANSWER = 71
    """Status, fields and the body, or what is left of it."""
    BEGIN = 72
    """Status and fields of an answer whose parts are pulled."""
    CHUNK = 73
    END = 74
    BROKEN = 75
    """It ends before it is whole."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker listens with."""

    limits: HttpLimits
    proxies: tuple[str, ...]
    pair: KeyPair | None
    """None: it speaks plain HTTP."""


_FRAME = struct.Struct("<BQ")
_LENGTH = struct.Struct("<I")
_ADMITTED = struct.Struct("<Hd")
_LIMIT = struct.Struct("<Q")
_ANSWER = struct.Struct("<HBI")
_SECONDS = struct.Struct("<d")
_CLOSES, _LAST = 1, 1
_head_decoder = msgspec.msgpack.Decoder(HttpHead)
_fields_decoder = msgspec.msgpack.Decoder(tuple[tuple[bytes, bytes], ...])
_encode = msgspec.msgpack.encode
_MAX_ADDRESS = 64

Frame = tuple[Kind, int, bytes]


def frame(kind: Kind, number: int = 0, content: bytes = b"") -> bytes:
    """Return a frame."""
    return _FRAME.pack(kind, number) + content


def read(body: bytes) -> Frame:
    """Return kind, number and content. Raises FrameError."""
    try:
        kind, number = _FRAME.unpack_from(body)
        return Kind(kind), number, body[_FRAME.size :]
    except (struct.error, ValueError) as error:
        raise FrameError("no kind of message") from error


# -- a worker's ------------------------------------------------------------------------------------


def encode_head(head: HttpHead) -> bytes:
    """Return a head, with its length before it."""
    encoded = _encode(head)
    return _LENGTH.pack(len(encoded)) + encoded


def read_head(content: bytes, limits: HttpLimits) -> tuple[HttpHead, bytes]:
    """Return a head, as a server with these limits reads one, and what follows. Raises FrameError.

    Who has sent it is looked at where it is known from where the connection comes.
    """
    try:
        (length,) = _LENGTH.unpack_from(content)
        end = _LENGTH.size + length
        if length > _MAX_HEAD or end > len(content):
            raise FrameError("a head is cut off")
        head = _head_decoder.decode(content[_LENGTH.size : end])
    except (struct.error, *DECODING_ERRORS) as error:
        raise FrameError("no head of a request") from error
    if not is_parsed(head, limits):
        raise FrameError("no head of a request")
    return head, content[end:]


def read_address(content: bytes) -> str:
    """Return where a connection comes from. Raises FrameError."""
    text = content[: _MAX_ADDRESS + 1].decode("latin-1")
    if not is_address(text):
        raise FrameError("no address")
    return text


def is_address(text: str) -> bool:
    """Tell whether this may be the peer of a connection: an address, or none (a Unix socket)."""
    if not text:
        return True
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # As `peer_address` returns it.
    return "%" not in text and getattr(address, "ipv4_mapped", None) is None


def released(number: int, *, follows: bool) -> bytes:
    """Return that a connection is gone, and whether the body of its request is still to come."""
    return frame(Kind.RELEASE, number, bytes((follows,)))


def read_released(content: bytes) -> bool:
    """Return whether a body follows. Raises FrameError."""
    if content not in (b"\0", b"\1"):
        raise FrameError("no end of a connection")
    return content == b"\1"


def piece(number: int, data: bytes, *, last: bool) -> bytes:
    """Return a piece of a body."""
    return frame(Kind.BODY, number, bytes((last,)) + data)


def read_piece(content: bytes) -> tuple[bytes, bool]:
    """Return a piece and whether it is the last. Raises FrameError."""
    last = content[:1] == b"\1"
    # None is small but the last: of each some bytes are held beside what is counted.
    if content[:1] not in (b"\0", b"\1") or not (last or len(content) > PIECE_BYTES):
        raise FrameError("no piece of a body")
    if len(content) > PIECE_BYTES + 1:
        raise FrameError("a piece that is too large")
    return content[1:], last


def refused(status: int, detail: str) -> bytes:
    """Return what is said of a request that was refused."""
    text = detail.encode("ascii", "replace")[:MAX_DETAIL]
    return frame(Kind.REFUSED, 0, _LENGTH.pack(status) + text)


def read_refused(content: bytes) -> tuple[int, str]:
    """Return status and detail. Raises FrameError."""
    if not _LENGTH.size <= len(content) <= _LENGTH.size + MAX_DETAIL:
        raise FrameError("no refusal")
    (status,) = _LENGTH.unpack_from(content)
    detail = content[_LENGTH.size :]
    text = detail.decode("latin-1")
    if not 400 <= status <= 599 or not text.isascii() or not text.isprintable():
        raise FrameError("no refusal")
    return status, text


def count(kind: Kind, value: int) -> bytes:
    """Return a frame of no connection that holds one number."""
    return frame(kind, 0, _LIMIT.pack(value))


def read_count(content: bytes) -> int:
    """Return it. Raises FrameError."""
    try:
        return int(_LIMIT.unpack(content)[0])
    except struct.error as error:
        raise FrameError("no number") from error


# -- the gateway's ---------------------------------------------------------------------------------


def admitted(number: int, status: int, pause: float) -> bytes:
    """Return what was decided of a connection."""
    return frame(Kind.ADMITTED, number, _ADMITTED.pack(status, pause))


def read_admitted(content: bytes) -> tuple[int, float]:
    """Return status and seconds."""
    status, pause = _ADMITTED.unpack(content)
    return status, pause


def allowed(number: int, limit: int) -> bytes:
    """Return how long a body may be."""
    return frame(Kind.ALLOWED, number, _LIMIT.pack(limit))


def drain(seconds: float) -> bytes:
    """Return the order to drain."""
    return frame(Kind.DRAIN, 0, _SECONDS.pack(seconds))


def read_seconds(content: bytes) -> float:
    """Return the seconds of it."""
    return float(_SECONDS.unpack(content)[0])


def answer(number: int, response: HttpResponse, body: bytes, kind: Kind = Kind.ANSWER) -> bytes:
    """Return an answer's status and fields with its body, or what is left of that.

    Raises what ends in a 500 for fields that are no pairs of bytes, and for no status.
    """
    for name, value in response.headers:
        if type(name) is not bytes or type(value) is not bytes:
            raise InvalidResponseError("The response's headers are not pairs of bytes.")
    fields = _encode(response.headers)
    flags = _CLOSES if response.close else 0
    return b"".join(
        (
            _FRAME.pack(kind, number),
            _ANSWER.pack(response.status, flags, len(fields)),
            fields,
            body,
        )
    )


def read_answer(content: bytes) -> HttpResponse:
    """Return an answer."""
    status, flags, length = _ANSWER.unpack_from(content)
    end = _ANSWER.size + length
    fields = _fields_decoder.decode(content[_ANSWER.size : end])
    return HttpResponse(status, fields, content[end:], close=bool(flags & _CLOSES))


def settings(of: Settings) -> bytes:
    """Return a new worker's settings."""
    return frame(Kind.LISTEN, 0, _encode(of))


def read_settings(content: bytes) -> Settings:
    """Return them."""
    return msgspec.msgpack.decode(content, type=decodable(Settings))


def certificate(pair: KeyPair) -> bytes:
    """Return a certificate with its key."""
    return frame(Kind.CERTIFICATE, 0, _encode(pair))


def read_certificate(content: bytes) -> KeyPair:
    """Return it."""
    return msgspec.msgpack.decode(content, type=decodable(KeyPair))
