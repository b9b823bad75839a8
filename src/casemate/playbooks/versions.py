"""Versions of playbooks, and exactly which bytes the vault signs of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from casemate.playbooks.reading import digest_of

MAX_VERSIONS = 20
"""Of one playbook, the newest, that are kept,"""
MAX_VERSIONS_BYTES = 256 * 1024
"""as far as their texts have no more bytes than that; the newest is kept anyway."""
_VERSION_LABEL = "version of a playbook"
_LEDGER_LABEL = "newest versions of playbooks"


class Signer(Protocol):
    """The vault, which signs with a key that it uses for nothing else. Raises VaultError."""

    async def sign_playbook(self, statement: bytes) -> bytes:
        """Return the signature of a statement."""
        ...

    async def verify_playbook(self, statement: bytes, signature: bytes) -> bool:
        """Tell whether it is one of the vault's own for that statement."""
        ...


class Change(StrEnum):
    """What a version made of a playbook."""

    PUT = "put"
    REMOVE = "remove"
    TAKE_OVER = "take-over"
    """It was there before versions were signed."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a playbook of one's own."""

    version: int
    change: Change
    text: str
    """Empty: it was removed."""
    at: float
    by: str
    signature: bytes = b""

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return digest_of(self.text)

    def statement(self, name: str) -> bytes:
        """Return what is signed of it as one of the playbook `name`."""
        return _encoded(
            _VERSION_LABEL,
            *(name, str(self.version), self.change.value, self.digest, repr(self.at), self.by),
        )


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of a playbook that are kept, the oldest first."""

    name: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version | None:
        """The one in force, or by which it was removed."""
        return self.versions[-1] if self.versions else None

    def get(self, number: int) -> Version | None:
        """Return a version."""
        return next((one for one in self.versions if one.version == number), None)

    def has_text(self, text: str) -> bool:
        """Tell whether a version has a text."""
        return any(one.text == text and one.change is not Change.REMOVE for one in self.versions)

    def with_newest(self, version: Version) -> History:
        """Return it with one more; the oldest beyond the bounds are forgotten."""
        kept, size = [version], len(version.text.encode())
        for one in reversed(self.versions):
            size += len(one.text.encode())
            if len(kept) >= MAX_VERSIONS or size > MAX_VERSIONS_BYTES:
                break
            kept.append(one)
        return History(name=self.name, versions=tuple(reversed(kept)))


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Which version of each playbook is the newest, so that none is missing or put back unseen."""

    number: int
    """Counts the changes."""
    newest: dict[str, int]
    forgotten: int = 0
    """The highest version of a name that is forgotten: other names begin above it, so that none of
    those versions is ever newer than what is listed."""
    signature: bytes = b""

    def statement(self) -> bytes:
        """Return what is signed of it."""
        return _encoded(_LEDGER_LABEL, str(self.number), str(self.forgotten), *_pairs(self.newest))


def _pairs(newest: Mapping[str, int]) -> list[str]:
    return [part for name in sorted(newest) for part in (name, str(newest[name]))]


def _encoded(*parts: str) -> bytes:
    """Return the one encoding of texts: how many there are, and each after its length.

    What a store gives back may hold halves of characters, which are encoded as what they are.
    """
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    joined = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
    return len(encoded).to_bytes(4, "big") + joined
