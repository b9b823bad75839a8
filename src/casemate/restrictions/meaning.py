"""What a restriction may be about, in its one form: what is the same has the same id."""

from __future__ import annotations

import hashlib
import ipaddress
import re

from casemate.egress.target import TargetError, parse_host
from casemate.model.errors import InvalidInputError
from casemate.model.function import NAME_PATTERN
from casemate.model.restriction import EVERYTHING, RestrictionKind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WILDCARD = "*."
_NAME = re.compile(NAME_PATTERN)
LEAST_BITS = {4: 8, 6: 16}
"""Of a network: a shorter prefix is most of all callers."""


def id_of(kind: RestrictionKind, project: str, function: str, what: str) -> str:
    """Return by which a restriction is known."""
    text = "\0".join((kind.value, project, function, what))
    return "res_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def require(kind: RestrictionKind, project: str, function: str, what: str) -> str:
    """Return `what` in its one form. Raises InvalidInputError for what means nothing."""
    if function and not project:
        raise InvalidInputError("A function is named without its project.")
    match kind:
        case RestrictionKind.ALIAS:
            if not function or what:
                raise InvalidInputError(
                    "Aliases are those of one function, all of them.",
                    next_step="Name the function, and nothing else.",
                )
            return ""
        case RestrictionKind.HOST:
            return _host(what)
        case RestrictionKind.ADDRESS:
            if function:
                raise InvalidInputError(
                    "Callers are held back from a whole project, or from all of the node."
                )
            return str(network_of(what))
        case RestrictionKind.SECRET:
            if not project:
                raise InvalidInputError("A secret is that of a project.")
            if what != EVERYTHING and not _NAME.fullmatch(what):
                raise InvalidInputError(f"{what[:64]!r} is not the name of a secret, and not `*`.")
            return what


def _host(what: str) -> str:
    if what == EVERYTHING:
        return what
    try:
        host, address = parse_host(what.removeprefix(_WILDCARD))
    except TargetError as error:
        raise InvalidInputError(
            f"{what[:64]!r} is not a host.", next_step="Name it as grants do, without port, or `*`"
        ) from error
    if what.startswith(_WILDCARD):
        if address is not None:
            raise InvalidInputError("A wildcard does not go with an address.")
        return _WILDCARD + host
    return host


def network_of(what: str) -> Network:
    """Return an address, or a network, that calls come from. Raises InvalidInputError."""
    try:
        found = ipaddress.ip_network(what)
    except ValueError as error:
        raise InvalidInputError(
            f"{what[:64]!r} is not an address.",
            next_step="Such as 192.0.2.7, 192.0.2.0/24, or 2001:db8::/64.",
        ) from error
    if found.prefixlen < LEAST_BITS[found.version]:
        raise InvalidInputError(f"{found} are too many callers to be held back by one word.")
    return found


def address_of(text: str) -> Address | None:
    """Return whose call it is; None if it has no address. An IPv4 one is that however written."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return found.ipv4_mapped or found
    return found


def narrow(address: str) -> str:
    """Return the network of who calls from an address: of IPv6 the /64, which one caller has.

    Raises InvalidInputError.
    """
    found = address_of(address)
    if found is None:
        raise InvalidInputError(f"{address[:64]!r} is not an address.")
    bits = 32 if found.version == 4 else 64
    return str(ipaddress.ip_network(f"{found}/{bits}", strict=False))
