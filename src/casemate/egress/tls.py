"""The server name in a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3).

Nothing is decrypted and nothing is changed: what is judged here is passed on byte for byte.
"""

from __future__ import annotations

from casemate.binary_reader import BinaryReader
from casemate.egress.target import Target
from casemate.model.errors import InvalidInputError

HANDSHAKE = 0x16
"""First byte of every TLS connection."""
MAX_HELLO = 32 * 1024
ACCESS_DENIED = bytes((0x15, 3, 3, 0, 2, 2, 49))
"""A fatal alert (RFC 8446, section 6.2), which clients show as "access denied"."""

_CLIENT_HELLO, _HOST_NAME = 1, 0
_SERVER_NAME = 0x0000
_ENCRYPTED = frozenset((0xFE0D, 0xFFCE))
"""encrypted_client_hello (RFC 9849) and encrypted_server_name, its forerunner."""
_MAX_FRAGMENT = 16 * 1024


class HelloError(InvalidInputError):
    """The first bytes are no ClientHello for the host of the tunnel."""


class _Hello(BinaryReader):
    """Takes a ClientHello apart."""

    def too_short(self) -> HelloError:
        return HelloError("The ClientHello is shorter than its own lengths say.")


def _handshake(data: bytes) -> bytes | None:
    """Return the body of the handshake message at the start, None while it is not all there."""
    message = bytearray()
    at = 0
    while True:
        if len(data) - at < 5:
            return None
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] != HANDSHAKE or data[at + 1] != 3 or not 1 <= length <= _MAX_FRAGMENT:
            raise HelloError("The first TLS records do not hold a handshake message.")
        message += data[at + 5 : at + 5 + length]
        if message and message[0] != _CLIENT_HELLO:
            raise HelloError("The first handshake message is no ClientHello.")
        at += 5 + length
        size = 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else MAX_HELLO
        if size > MAX_HELLO or len(message) > size:
            raise HelloError("The ClientHello is too long, or something follows in its record.")
        if len(message) == size and len(data) >= at:
            return bytes(message[4:])


def _server_name(extension: bytes) -> str:
    names = _Hello(extension)
    entries = _Hello(names.vector(2))
    kind, name = entries.number(1), entries.vector(2)
    if names.left or entries.left or kind != _HOST_NAME or not name.isascii():
        raise HelloError("The server name extension does not hold exactly one host name.")
    return name.decode("ascii").lower()


def server_name(data: bytes) -> tuple[bool, str | None]:
    """Return whether the ClientHello at the start of `data` is complete, and its server name.

    Raises HelloError for what is no ClientHello, is longer than MAX_HELLO or hides its name.
    """
    body = _handshake(data)
    if body is None:
        if len(data) >= 2 * MAX_HELLO:
            raise HelloError("The ClientHello is too long.")
        return False, None
    hello = _Hello(body)
    hello.take(2 + 32)
    hello.vector(1)
    hello.vector(2)
    hello.vector(1)
    if not hello.left:
        return True, None
    extensions = _Hello(hello.vector(2))
    if hello.left:
        raise HelloError("Something follows the extensions of the ClientHello.")
    name: str | None = None
    seen = set()
    while extensions.left:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind in seen:
            raise HelloError("An extension of the ClientHello is there twice.")
        seen.add(kind)
        if kind in _ENCRYPTED:
            # The outer name proves nothing: the server goes by the one that cannot be read.
            raise HelloError("The ClientHello holds an encrypted one (ECH).")
        if kind == _SERVER_NAME:
            name = _server_name(content)
    return True, name


def is_hello_for(target: Target, data: bytes) -> bool:
    """Tell whether `data` holds a whole ClientHello for a host; False: more must be read first.

    Raises HelloError if it is for another one. No name is right for an address only.
    """
    complete, name = server_name(data)
    if not complete:
        return False
    if name is None and target.address is None:
        raise HelloError("The ClientHello has no server name (SNI).")
    if name is not None and name != target.host:
        raise HelloError("The server name (SNI) is not the host of the tunnel.")
    return True
