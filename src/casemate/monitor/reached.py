"""What is true of all that the settings name outside, and how its places are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from casemate.egress.target import Target, TargetError, parse_authority
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import RESOURCE_PATTERN

MAX_URL = 2048
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECRET = NAME_PATTERN.removesuffix("$") + "/" + RESOURCE_PATTERN.removeprefix("^")
PRIVATE = "private"
PLAINTEXT = "plaintext"
RISKS = frozenset((PRIVATE, PLAINTEXT))
"""What the operator can accept for a channel by name: that it is at an address inside one's own
network, and that whoever is between reads and changes what is sent."""

Seconds = Annotated[float, msgspec.Meta(ge=1, le=30 * 86_400)]
SecretName = Annotated[str, msgspec.Meta(pattern=_SECRET)]
ChannelName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Url = Annotated[str, msgspec.Meta(max_length=MAX_URL)]
Server = Annotated[str, msgspec.Meta(max_length=300)]
"""`HOST:PORT`."""


class Reached(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something outside."""

    accept: tuple[str, ...] = ()
    """Of `RISKS`."""
    ca: str = ""
    """Certificates of authorities in PEM, in place of the host's; in the file the path to them."""

    @property
    def private(self) -> bool:
        """Whether addresses inside one's own network are meant."""
        return PRIVATE in self.accept

    @property
    def plaintext(self) -> bool:
        """Whether it may go without TLS."""
        return PLAINTEXT in self.accept

    @property
    def target(self) -> Target:
        """Return where it is."""
        raise NotImplementedError

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return True


class AtUrl(Reached, frozen=True, kw_only=True):
    """What is spoken to by HTTP."""

    url: Url

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_url(self.url)[1]

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return parse_url(self.url)[0]


class AtServer(Reached, frozen=True, kw_only=True):
    """What is spoken to by another protocol."""

    server: Server

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_authority(self.server)


def accepting(risks: Iterable[str]) -> str:
    """Return the line of a settings file that accepts these, for people."""
    listed = ", ".join(f'"{one}"' for one in sorted(set(risks)))
    return f"accept = [{listed}]"


def parse_url(url: str) -> tuple[bool, Target, str]:
    """Return whether a URL is of TLS, its host and port, and its path. Raises TargetError."""
    scheme, found, rest = url.partition("://")
    secure = scheme == "https"
    if not found or (not secure and scheme != "http"):
        raise TargetError(
            "The URL does not begin with https:// (or http://).", next_step="Write it in full."
        )
    authority, slash, path = rest.partition("/")
    if any(not "!" <= letter <= "~" for letter in path) or "?" in authority or "#" in url:
        raise TargetError(
            "The URL has a character that has no place there.", next_step="Percent-encode it."
        )
    _, _, port = authority.rpartition("]")
    if ":" not in port:
        authority += ":443" if secure else ":80"
    return secure, parse_authority(authority), slash + path if slash else "/"


def seconds_of(text: str) -> float:
    """Return the seconds of a text such as `90s`, `5m`, `2h` or `1d`. Raises ValueError."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdecimal()) or len(number) > 7:
        raise ValueError(f"{text[:32]!r} is no time such as 90s, 5m, 2h or 1d")
    return float(int(number) * _UNITS[unit])
