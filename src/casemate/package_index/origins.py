"""What a lock remembers of where its packages came from: comment lines at its end.

    # origin: PACKAGE VERSION https://pypi.org/simple 2024-12-04T16:35:26Z GitHub:o/r:p.yml verified

Installers pass over them. `-` stands for what is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from packaging.utils import canonicalize_name

_ORIGIN = re.compile(
    r"^# origin: (\S{1,200}) (\S{1,200}) (\S{1,500}) (\S{1,40}) (\S{1,500})( verified)?$", re.M
)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]{0,200})(?:\[[^\]\n]{0,300}\])?(?:==|===)(\S{1,200})", re.M)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
UNKNOWN = "-"
_VERIFIED = "verified"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where one package of a lock came from."""

    package: str
    version: str
    index: str | None
    uploaded: str | None = None
    publisher: str | None = None
    verified: bool = False
    """Whether the publisher's signature was verified; in older locks it is the index's word."""

    def line(self) -> str:
        """Return its line in a lock."""
        known = (self.index, self.uploaded, self.publisher)
        told = " ".join(one or UNKNOWN for one in known)
        end = f" {_VERIFIED}" if self.verified else ""
        return f"# origin: {self.package} {self.version} {told}{end}"


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """One package of a lock, with the SHA-256 of each file that it accepts."""

    package: str
    version: str
    hashes: frozenset[str]


def origins_of(lock: str) -> dict[str, Origin]:
    """Return what a lock says of its packages, by name; the last line of a name counts."""
    found = {}
    for package, version, index, uploaded, publisher, verified in _ORIGIN.findall(lock):
        found[package] = Origin(
            package=package,
            version=version,
            index=_known(index),
            uploaded=_known(uploaded),
            publisher=_known(publisher),
            verified=bool(verified),
        )
    return found


def pins_of(lock: str) -> tuple[Pin, ...]:
    """Return what a lock in the format of requirements.txt pins."""
    starts = list(_PIN.finditer(lock))
    ends = [*(match.start() for match in starts[1:]), len(lock)][: len(starts)]
    return tuple(
        Pin(
            package=str(canonicalize_name(match.group(1))),
            version=match.group(2).rstrip(";\\"),
            hashes=frozenset(
                each.removeprefix("sha256:") for each in _HASH.findall(lock, match.end(), end)
            ),
        )
        for match, end in zip(starts, ends, strict=True)
    )


def with_origins(lock: str, origins: Iterable[Origin]) -> str:
    """Return a lock with lines that say where its packages came from."""
    return lock + "".join(sorted(f"{each.line()}\n" for each in origins))


def moment(seconds: float | None) -> str | None:
    """Return a time as a lock has it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _known(text: str) -> str | None:
    return None if text == UNKNOWN else text
