"""The port: what every store of blobs does. All calls block, and may come from any thread.

A blob is there whole once `finish` has returned; its row is written after that and deleted before
it. So what is listed and has no row either waits for one, or is left of a crash: only its age
tells them apart, and `sweep` waits for `GRACE_SECONDS`.

Raises OSError for a folder's medium, FileNotFoundError where there is no such blob, and BlobsError.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from casemate.blobs.errors import BlobDamagedError

GRACE_SECONDS = 24 * 3600.0
"""How old something without a row has to be before it is deleted, where several may write."""
_NAME = re.compile(r"[0-9a-f]{32}\Z")


def new_name() -> str:
    """Return a random name: it tells nothing of what is in the blob, and nobody guesses it."""
    return secrets.token_hex(16)


def is_name(text: str) -> bool:
    """Tell whether `text` can be a blob's name."""
    return _NAME.match(text) is not None


def require_name(text: str) -> str:
    """Return `text` if it can be a blob's name. Raises BlobDamagedError: it is of a row."""
    if not is_name(text):
        raise BlobDamagedError("The database names a file that cannot be an object's.")
    return text


class Listed(NamedTuple):
    """Something that is in the store."""

    name: str
    """Of a folder also what is no blob's name."""
    age: float
    """Seconds since the youngest part of it was written, by the store's own clock."""


class BlobWriter(Protocol):
    """Writes one blob. Belongs to one thread at a time."""

    name: str

    def write(self, data: bytes) -> None:
        """Append; memory is bounded, whatever the size."""
        ...

    def finish(self) -> None:
        """Have it durable and whole when this returns."""
        ...

    def discard(self) -> None:
        """Forget what was written; after `finish` nothing happens."""
        ...


class Blobs(Protocol):
    """The blobs of one kind and owner, which see those of no other."""

    grace: float
    """How old something without a row has to be before it is deleted."""
    read_bytes: int
    """How many bytes are best read by one call."""

    def create(self) -> BlobWriter:
        """Begin a blob under a new name."""
        ...

    def read(self, name: str, size: int, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset` of a blob that was written with `size`.

        Raises BlobSizeError if it has another size now: it is to be known before it is believed.
        """
        ...

    def exists(self, name: str) -> bool:
        """Tell whether there is anything of a blob."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Delete blobs now or soon, without waiting for a network. What stays is swept."""
        ...

    def listed(self) -> Iterator[Listed]:
        """Give everything that is there, in any order, each name once."""
        ...

    def copy(self, name: str, size: int, target: Path) -> None:
        """Make a file at `target`, which is not there yet, durable with the blob's bytes."""
        ...

    def close(self) -> None:
        """Let go of what this holds. Blobs that are deleted already stay so."""
        ...
