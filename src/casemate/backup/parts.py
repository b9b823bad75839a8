"""The parts of a backup, and what the node's vault signs of them.

A part is what was copied at one moment: the store, the records, the journal, the data of a project,
the bundles, the vault. With the digest of each, what was put in from another backup has a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from casemate.backup.archive import RECORDS, Entry, Manifest, Part
from casemate.data.folder import OBJECTS

_DATA = "data"


def parts_of(files: Iterable[Entry]) -> tuple[Part, ...]:
    """Return the parts that files are of, sorted by name."""
    found: dict[str, list[Entry]] = {}
    for entry in files:
        found.setdefault(_part(entry.name), []).append(entry)
    return tuple(_described(name, found[name]) for name in sorted(found))


def _part(file: str) -> str:
    top, *rest = file.split("/")
    if file == RECORDS:
        return "records"
    if top != _DATA:
        return top
    # `PROJECT@1.db` and what is beside it, or `objects/PROJECT/...`.
    project = rest[1] if rest[0] == OBJECTS and rest[1:] else rest[0].partition("@")[0]
    return f"{_DATA}/{project}"


def _described(name: str, files: list[Entry]) -> Part:
    digest = hashlib.sha256()
    for entry in sorted(files, key=lambda each: each.name):
        digest.update(f"{entry.name}\0{entry.size}\0{entry.sha256}\n".encode())
    size = sum(entry.size for entry in files)
    return Part(name=name, files=len(files), bytes=size, sha256=digest.hexdigest())


def differing(manifest: Manifest) -> list[str]:
    """Return the parts that are not as its signature has them, also those that it lacks."""
    if manifest.signed is None:
        return []
    signed = {part.name: part for part in manifest.signed.parts}
    found = {part.name: part for part in parts_of(manifest.files)}
    return sorted(name for name in signed | found if signed.get(name) != found.get(name))


def statement(manifest: Manifest) -> bytes:
    """Return the SHA-256 of what is signed with the number: node, time, version, parts."""
    signed = manifest.signed
    if signed is None:
        return b""
    said = (manifest.format, manifest.created_at, manifest.version, signed.node, signed.parts)
    return hashlib.sha256(msgspec.json.encode(said)).digest()
