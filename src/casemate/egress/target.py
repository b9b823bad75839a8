"""Hosts and ports as requests and grants name them: one strict form, nothing that two parsers
could read differently.

A host is a DNS name of letters, digits and hyphens (RFC 1123, at most 253 characters; IDNA only as
punycode) or an IP address. Octal, decimal, hexadecimal and shortened IPv4, zone ids, user
information and percent-encoding are refused, not understood.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import msgspec

from casemate.model.errors import InvalidInputError

Address = IPv4Address | IPv6Address

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
"""A last label that other parsers take for part of an IPv4 address (URL Standard, "ends in a
number")."""
_IPV6 = re.compile(r"[0-9a-f:]{2,39}\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_MAX_NAME = 253


class TargetError(InvalidInputError):
    """The destination is not a host and a port."""


class Target(msgspec.Struct, frozen=True):
    """A destination. `host` is lower case, without a trailing dot and without brackets."""

    host: str
    port: int
    address: Address | None = None
    """The host as an address if it is one."""

    @property
    def text(self) -> str:
        """Return `host:port`, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host(text: str) -> tuple[str, Address | None]:
    """Return a host in its one form, and as an address if it is one. Raises TargetError."""
    if text.startswith("["):
        return _parse_ipv6(text)
    host = text.lower() if text.isascii() else ""
    host = host.removesuffix(".")
    if not _NAME.match(host) or len(host) > _MAX_NAME:
        raise TargetError(
            "The host is not a DNS name of letters, digits and hyphens.",
            next_step="Name the host as in DNS; write international names as punycode (xn--...).",
        )
    if not _NUMBER.match(host.rpartition(".")[2]):
        return host, None
    try:
        address = IPv4Address(host)
    except ValueError:
        address = None
    if address is None or str(address) != text:
        raise TargetError(
            "The host looks like an IPv4 address but is not in its usual form.",
            next_step="Write it as four decimal numbers without leading zeros.",
        )
    return host, address


def _parse_ipv6(text: str) -> tuple[str, Address]:
    inner = text[1:-1].lower() if text.endswith("]") else ""
    try:
        if not _IPV6.match(inner):
            raise ValueError
        address = IPv6Address(inner)
    except ValueError:
        raise TargetError(
            "The host is not an IPv6 address in brackets, in hexadecimal groups and without zone.",
            next_step="Write it as [2001:db8::1].",
        ) from None
    return address.compressed, address


def parse_authority(text: str, *, default_port: int | None = None) -> Target:
    """Return what `host[:port]` names. Raises TargetError; without a default a port is required."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
        if default_port is None:
            raise TargetError("The destination has no port.", next_step="Write host:port.")
        number = default_port
    elif _PORT.match(port) and int(port) <= 65535:
        number = int(port)
    else:
        raise TargetError(
            "The port is not a number from 1 to 65535 without leading zeros.",
            next_step="Write host:port.",
        )
    name, address = parse_host(host)
    return Target(name, number, address)
