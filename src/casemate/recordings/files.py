"""Recordings as files: one each, sealed. Nothing of them is in clear but their ids.

    magic, length of the head, head (wrapped for the node), body (under the project's key)

A file that was changed, cut off or given another's name is not taken for a recording.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from casemate.model.errors import UnavailableError
from casemate.vault import envelope
from casemate.vault.interface import DataKey

MAGIC = b"CSMREC1\n"
_LENGTH = 4
_MAX_HEAD = 64 * 1024
_NAME = re.compile(r"inv_[0-9a-f]{24}\.sealed\Z")
_UNFINISHED = re.compile(r"inv_[0-9a-f]{24}\.writing\Z")


class DamagedRecordingError(UnavailableError):
    """A recording is not as it was written."""


class Parts(NamedTuple):
    """A file taken apart."""

    head: bytes
    body: bytes


def names(folder: Path) -> list[str]:
    """Return the ids of what is there. Raises OSError."""
    found = [path.name for path in folder.iterdir()]
    return [name.removesuffix(".sealed") for name in found if _NAME.match(name)]


def remove_unfinished(folder: Path) -> None:
    """Delete what a process that was killed was writing; before this one writes. Raises OSError."""
    for path in folder.iterdir():
        if _UNFINISHED.match(path.name):
            path.unlink(missing_ok=True)


def write(folder: Path, identity: str, parts: Parts) -> None:
    """Write a recording whole, or not at all. Raises OSError."""
    path = _path(folder, identity)
    passing = path.with_suffix(".writing")
    descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(MAGIC + len(parts.head).to_bytes(_LENGTH, "big") + parts.head + parts.body)
        passing.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            passing.unlink()
        raise


def read(folder: Path, identity: str, most: int) -> Parts:
    """Return a recording's parts. Raises DamagedRecordingError, OSError."""
    descriptor = os.open(_path(folder, identity), os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(most + 1)
    start = len(MAGIC) + _LENGTH
    length = int.from_bytes(data[len(MAGIC) : start], "big")
    if not data.startswith(MAGIC) or length > _MAX_HEAD or not start + length < len(data) <= most:
        raise damaged(identity)
    return Parts(data[start : start + length], data[start + length :])


def remove(folder: Path, identity: str) -> None:
    """Delete a recording; one that is gone is fine. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _path(folder, identity).unlink()


def damaged(identity: str) -> DamagedRecordingError:
    """Return that a recording cannot be read."""
    return DamagedRecordingError(
        f"The recording of {identity} was changed or cut off.",
        next_step="Remove it: casemate recordings rm",
    )


def use_of(identity: str) -> str:
    """Return what a head is wrapped for."""
    return f"recording {identity}"


def seal(key: DataKey, project: str, identity: str, content: msgspec.Struct) -> bytes:
    """Return content under a project's key, bound to the recording."""
    about = envelope.context("recording", project, identity, key.version)
    version = key.version.to_bytes(4, "big")
    return version + envelope.encrypt(key.key, msgspec.msgpack.encode(content), about)


def key_version(body: bytes) -> int:
    """Return which version of the project's key a body is under."""
    return int.from_bytes(body[:4], "big")


def unseal(key: DataKey, project: str, identity: str, body: bytes) -> bytes:
    """Return what `seal` was given. Raises DecryptionError."""
    about = envelope.context("recording", project, identity, key.version)
    return envelope.decrypt(key.key, body[4:], about)


def _path(folder: Path, identity: str) -> Path:
    name = f"{identity}.sealed"
    if _NAME.match(name) is None:
        raise damaged(identity[:64])
    return folder / name
