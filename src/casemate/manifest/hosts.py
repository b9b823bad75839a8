"""Hosts that a function may connect to: names, wildcards and addresses in one normal form.

Strict on purpose: what two programs could read differently (WHATWG URL, inet_aton) is refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from casemate.manifest.kinds import JsonObject, Plain
from casemate.manifest.problem import described
from casemate.manifest.rejection import RejectedValueError

MAX_HOST = 253
"""Characters of a name (RFC 1035, section 2.3.4, without the root's dot)."""

WILDCARD = "*."

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TRANSLATING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""Addresses that lead to an IPv4 address in them (RFC 6052, RFC 8215)."""

_NOT_IN_A_HOST = (
    ("://", "without a scheme"),
    ("@", "without user and password"),
    ("/", "without a path"),
    ("\\", "without a path"),
    ("?", "without a query"),
    ("#", "without a fragment"),
    ("%", "without percent-encoding or a zone"),
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Host(Plain):
    """A host name, `*.` and a domain, or an address; the model gets it normalised."""

    expected: str = 'a host such as "api.example.com", "*.example.com" or "192.0.2.7"'

    def parse(self, value: object) -> str:
        """Return the host in lower case, IPv6 in brackets and in its short form (RFC 5952)."""
        if not isinstance(value, str):
            raise RejectedValueError(self.expected, described(value))
        if len(value) > MAX_HOST + 3:
            raise RejectedValueError(self.expected, f"a string of {len(value)} characters")
        for part, rule in _NOT_IN_A_HOST:
            if part in value:
                raise RejectedValueError(f"{self.expected}, {rule}", described(value))
        if not value.isascii():
            raise RejectedValueError(
                f"{self.expected}; other letters as punycode, xn--...", described(value)
            )
        return self._address(value) if ":" in value else self._name(value)

    def _address(self, value: str) -> str:
        text = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError as error:
            raise RejectedValueError(
                f"{self.expected}; a port goes into port = ...", described(value)
            ) from error
        embeds = any(address in network for network in _TRANSLATING)
        if address.ipv4_mapped or address.sixtofour or address.teredo or embeds:
            raise RejectedValueError("the IPv4 address itself", described(value))
        _require_unicast(address, value)
        return f"[{address.compressed}]"

    def _name(self, value: str) -> str:
        name = value.lower().removesuffix(".")
        domain = name.removeprefix(WILDCARD)
        labels = domain.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            try:
                address = ipaddress.IPv4Address(name)
            except ValueError as error:
                raise RejectedValueError(
                    "an IPv4 address of four decimal numbers, or a name whose last part is no "
                    "number",
                    described(value),
                ) from error
            _require_unicast(address, value)
            return name
        if name == "*":
            raise RejectedValueError(
                "the hosts that it needs; there is no grant for every host", described(value)
            )
        if not all(_LABEL.fullmatch(label) for label in labels) or len(name) > MAX_HOST:
            raise RejectedValueError(self.expected, described(value))
        if domain != name and len(labels) < 2:
            raise RejectedValueError(
                'a wildcard for the subdomains of one domain, such as "*.example.com"',
                described(value),
            )
        return name

    def schema(self) -> JsonObject:
        """Return type, length and characters; a schema cannot express the rest."""
        return {
            "type": "string",
            "pattern": r"^(?:\*\.)?[A-Za-z0-9.:\[\]-]+$",
            "maxLength": MAX_HOST + 3,
        }


def bracketed(host: str) -> str:
    """Return a host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def address_of(host: str) -> Address | None:
    """Return the address that a normalised host is, or None if it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_private(host: str) -> bool:
    """Tell whether a normalised host is surely not on the public internet."""
    address = address_of(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return not address.is_global


def _require_unicast(address: Address, value: str) -> None:
    reserved = address.is_reserved and not address.is_loopback
    # 0.0.0.0/8 is "this host" (RFC 1122), which Linux takes for loopback.
    this_host = address.version == 4 and address.packed[0] == 0
    if address.is_multicast or address.is_unspecified or reserved or this_host:
        raise RejectedValueError("an address of one host", described(value))
