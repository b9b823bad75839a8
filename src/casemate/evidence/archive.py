"""The form of an archive of evidence: a tar that is exactly what its manifest says.

`manifest.json` comes first, with size and SHA-256 of all that follows its own. An archive is
believed if what is in it, written again, is the same to the byte: no link, folder, extension,
repeated member or name that leads elsewhere is looked for, as none can be in one that this module
has written.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import InvalidInputError

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.sha256"
"""Of the manifest, so that a change of what it says itself is found without a journal, too."""
MAX_BYTES = 32 << 20
MAX_FILES = 1000
_NONE = "It is no archive of evidence, or it was changed or cut off."
_AGAIN = "Fetch it again: casemate incident evidence ID --output FILE"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,79}){0,3}\Z")


class EvidenceError(InvalidInputError):
    """The file is no archive of evidence, or was changed."""


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of it."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in it, and what is not."""

    format: int
    incident: str
    made_at: float
    by: str
    version: str
    """Of Casemate."""
    left_out: tuple[str, ...]
    """What there was no room or no right for, or could not be read."""
    files: tuple[File, ...]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of an archive that is as it was sealed."""

    sha256: str
    manifest: Manifest
    entry: str
    """Of the journal, that tells of it."""


def build(manifest: Manifest, files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files; what `manifest` says of them is replaced. EvidenceError."""
    listed = tuple(
        File(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in sorted(files.items())
    )
    if MANIFEST in files or MANIFEST_HASH in files:
        raise EvidenceError("A file of evidence has the name of its manifest.")
    if len(listed) > MAX_FILES or sum(each.size for each in listed) > MAX_BYTES:
        raise EvidenceError(f"Evidence is at most {MAX_FILES} files and {MAX_BYTES} bytes.")
    head = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, files=listed)))
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        digest = hashlib.sha256(head).hexdigest().encode()
        for name, data in [(MANIFEST, head), (MANIFEST_HASH, digest), *sorted(files.items())]:
            if _NAME.match(name) is None:
                raise EvidenceError(f"{name[:64]!r} is not the name of a file of evidence.")
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def opened(data: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """Return what is in an archive. Raises EvidenceError if it is not as it was written."""
    if len(data) > 2 * MAX_BYTES:
        raise EvidenceError(f"It has {len(data)} bytes, more than evidence has.")
    found = _members(data)
    try:
        manifest = msgspec.json.decode(found.pop(MANIFEST, b""), type=decodable(Manifest))
        found.pop(MANIFEST_HASH, None)
    except DECODING_ERRORS as error:
        raise EvidenceError(_NONE, next_step=_AGAIN) from error
    if manifest.format != FORMAT:
        raise EvidenceError(
            f"It has format {manifest.format}, expected {FORMAT}.",
            next_step=f"Verify it with the release that made it. {_AGAIN}",
        )
    for each in manifest.files:
        if each.name in found and hashlib.sha256(found[each.name]).hexdigest() != each.sha256:
            raise EvidenceError(f"{each.name} was changed.", next_step=_AGAIN)
    if build(manifest, found) != data:
        raise EvidenceError("It is not as it was written.", next_step=_AGAIN)
    return manifest, found


def _members(data: bytes) -> dict[str, bytes]:
    """Return what is in a tar of plain files, each found by its header alone. EvidenceError.

    What `tarfile` opens is more than that: it unfolds a sparse member of a few bytes to as many
    as it says, and headers that extend others until there is no more stack.
    """
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data) and any(data[at : at + tarfile.BLOCKSIZE]):
        try:
            header = tarfile.TarInfo.frombuf(data[at : at + tarfile.BLOCKSIZE], "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            text = f"{_NONE} Byte {at} on cannot be read."
            raise EvidenceError(text, next_step=_AGAIN) from error
        start = at + tarfile.BLOCKSIZE
        plain = header.type == tarfile.REGTYPE and 0 <= header.size <= len(data) - start
        if not plain or header.name in found or len(found) > MAX_FILES + 1:
            raise EvidenceError("It holds what evidence does not hold.", next_step=_AGAIN)
        found[header.name] = data[start : start + header.size]
        at = start + header.size + -header.size % tarfile.BLOCKSIZE
    return found
