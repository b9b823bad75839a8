"""The form of a backup: a tar archive (POSIX ustar) that is exactly what its manifest says.

`manifest.json` comes first and names every file that follows, in order, with size and SHA-256.
A reader accepts, block by block, only what this module would have written for that manifest. So
links, devices, folders, extensions, repeated or surplus members and names that lead elsewhere are
not looked for one by one: none of them can be in it. The hashes find damage; that all is of one
backup is told by its signature (`proving`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tarfile
from collections.abc import Generator
from typing import Annotated, Protocol

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import CasemateError
from casemate.operations.fields import whole
from casemate.operations.nodes import NODE_NAME

FORMAT = 2
"""With a signature; 1 has none."""
_UNSIGNED = 1
MANIFEST = "manifest.json"
MAX_MANIFEST = 256 * 1024 * 1024
MAX_FILE = 8 * 1024**3 - 1
"""Largest size that the 11 octal digits of a header hold."""
MAX_NAME = 255
"""Most characters that a header holds in its two fields. Each folder of a name is a text of its own
below: without a bound they would be as much as the square of its length."""
BLOCK = 512
END = bytes(2 * BLOCK)
FOLDERS = ("store", "journal", "data", "vault", "bundles")
STORE = "store/records.db"
RECORDS = "journal/records/records.db"
"""Those of invocations; a backup of a release before has them in the store."""
JOURNAL = "journal"
"""Folder of the copy of the journal, in parts; a backup of a release before has none."""
VAULT = "vault/"

_SEGMENT = r"[A-Za-z0-9_@=+,~-][A-Za-z0-9._@=+,~-]*"
_NAME = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:/{_SEGMENT})+\Z")
_OF_JOURNAL = re.compile(rf"{JOURNAL}/copy\.[0-9]{{1,4}}\Z")
_PARTS = rf"^{_SEGMENT}(?:/{_SEGMENT})?\Z"
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
          b"5": "a folder", b"6": "a pipe"}  # fmt: skip


class BackupError(CasemateError):
    """The backup cannot be used."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was copied at one moment."""

    name: Annotated[str, msgspec.Meta(pattern=_PARTS, max_length=MAX_NAME)]
    files: int
    bytes: int
    sha256: str
    """Of the names, sizes and hashes of its files."""


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the node's vault has signed, with the time and the version of the manifest."""

    number: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)]
    """Of the backup, counted by the vault."""
    node: Annotated[str, msgspec.Meta(pattern=whole(NODE_NAME))]
    """Its name."""
    parts: tuple[Part, ...]
    signature: bytes


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds."""

    format: int
    created_at: float
    """Unix time in seconds."""
    version: str
    """Casemate that made it."""
    files: tuple[Entry, ...]
    signed: Signed | None = None

    @property
    def content_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


class Sink(Protocol):
    """Where the content of files goes."""

    def begin(self, manifest: Manifest) -> None:
        """Learn what will come, before any of it does."""

    def open(self, entry: Entry) -> None:
        """Begin a file."""

    def write(self, data: bytes) -> None:
        """Add to the file."""

    def close(self) -> None:
        """End the file, whose hash was right."""


def header(name: str, size: int) -> bytes:
    """Return the header of a member. Raises BackupError for a name or size that ustar lacks."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    try:
        return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except (ValueError, UnicodeError) as error:
        raise BackupError(f"The file {name[:80]!r} cannot be in a backup: {error}.") from error


def padding(size: int) -> bytes:
    """Return what follows a content of `size` bytes, up to a whole block."""
    return bytes(-size % BLOCK)


def archive_bytes(manifest: Manifest) -> int:
    """Return the size of the whole archive."""
    sizes = [len(encode(manifest)), *(entry.size for entry in manifest.files)]
    return sum(BLOCK + size + -size % BLOCK for size in sizes) + len(END)


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as it stands in the archive."""
    return msgspec.json.encode(manifest)


def require_valid(manifest: Manifest) -> None:
    """Raise BackupError unless every name stays inside the data folder and is there once."""
    if manifest.format not in (_UNSIGNED, FORMAT):
        raise BackupError(
            f"The backup has format {manifest.format}; this Casemate reads format {FORMAT}.",
            next_step="Restore it with the Casemate that made it, or a newer one.",
        )
    if (manifest.format == _UNSIGNED) != (manifest.signed is None):
        raise damaged("its manifest has no signature where its format has one, or the other way")
    names: set[str] = set()
    folders: set[str] = set()
    for entry in manifest.files:
        if (
            len(entry.name) > MAX_NAME
            or not _NAME.match(entry.name)
            or not 0 <= entry.size <= MAX_FILE
            or not _DIGEST.match(entry.sha256)
            or entry.name in names
            or not _may_be(entry.name)
        ):
            raise damaged(f"its manifest has an entry that is not valid: {entry.name[:80]!r}")
        names.add(entry.name)
        parts = entry.name.split("/")
        folders.update("/".join(parts[:n]) for n in range(1, len(parts)))
    if names & folders:
        raise damaged("its manifest has a file where another one needs a folder")
    if STORE not in names or not any(name.startswith(VAULT) for name in names):
        raise damaged("its manifest has no store or no vault")


def _may_be(name: str) -> bool:
    """Tell whether a file may be there: the journal's are made of its copy, which is verified."""
    if not name.startswith(f"{JOURNAL}/"):
        return True
    return name == RECORDS or _OF_JOURNAL.match(name) is not None


def parts_of_journal(manifest: Manifest) -> list[str]:
    """Return the names of the parts of the journal's copy, in their order."""
    found = [entry.name for entry in manifest.files if _OF_JOURNAL.match(entry.name)]
    return sorted(found, key=lambda name: int(name.rpartition(".")[2]))


class ArchiveReader:
    """Takes an archive in pieces as they come, checks each byte, hands files to a sink."""

    def __init__(self, sink: Sink | None = None) -> None:
        """Check only, or also hand what is read to `sink`."""
        self.manifest: Manifest | None = None
        self._sink = sink
        self._digest = hashlib.sha256()
        self._buffer = bytearray()
        self._steps = self._read()
        next(self._steps)
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take the next piece. Raises BackupError at the first byte that is not as expected."""
        self._digest.update(data)
        self._buffer += data
        if self._done:
            raise damaged("it goes on after its end")
        try:
            self._steps.send(None)
        except StopIteration:
            self._done = True

    def finish(self) -> tuple[Manifest, str]:
        """Return the manifest and the SHA-256 of the archive; BackupError if it is cut short."""
        if not self._done or self.manifest is None:
            raise BackupError(
                "The backup is cut short.", next_step="Make or fetch the backup again."
            )
        return self.manifest, self._digest.hexdigest()

    def _read(self) -> Generator[None, None, None]:
        yield
        self.manifest = manifest = yield from self._read_manifest()
        if self._sink is not None:
            self._sink.begin(manifest)
        for entry in manifest.files:
            found = yield from self._take(BLOCK)
            _require_header(found, entry.name, entry.size)
            yield from self._read_file(entry)
        if (yield from self._take(len(END))) != END or self._buffer:
            raise damaged("it has more than its manifest names")

    def _read_manifest(self) -> Generator[None, None, Manifest]:
        found = yield from self._take(BLOCK)
        octal = found[124:135]
        if not re.fullmatch(rb"[0-7]{11}", octal) or int(octal, 8) > MAX_MANIFEST:
            raise damaged("it does not begin with a manifest")
        size = int(octal, 8)
        _require_header(found, MANIFEST, size)
        text = yield from self._take(size)
        if (yield from self._take(-size % BLOCK)) != padding(size):
            raise damaged("there is something between its files")
        try:
            manifest = msgspec.json.decode(text, type=decodable(Manifest))
        except DECODING_ERRORS as error:
            raise damaged("its manifest cannot be read") from error
        require_valid(manifest)
        return manifest

    def _read_file(self, entry: Entry) -> Generator[None, None, None]:
        digest = hashlib.sha256()
        if self._sink is not None:
            self._sink.open(entry)
        left = entry.size
        while left:
            while not self._buffer:
                yield
            piece = bytes(self._buffer[:left])
            del self._buffer[: len(piece)]
            left -= len(piece)
            digest.update(piece)
            if self._sink is not None:
                self._sink.write(piece)
        if (yield from self._take(-entry.size % BLOCK)) != padding(entry.size):
            raise damaged("there is something between its files")
        if not hmac.compare_digest(digest.hexdigest(), entry.sha256):
            raise damaged(f"{entry.name} is not what was backed up: its hash is another one")
        if self._sink is not None:
            self._sink.close()

    def _take(self, size: int) -> Generator[None, None, bytes]:
        while len(self._buffer) < size:
            yield
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _require_header(found: bytes, name: str, size: int) -> None:
    if found == header(name, size):
        return
    kind = _KINDS.get(found[156:157], "another member")
    given = found[:100].rstrip(b"\0")[:60].decode("ascii", "backslashreplace")
    raise damaged(f"where its manifest has the file {name[:80]!r}, it has {kind}, {given!r}")


def damaged(what: str) -> BackupError:
    """Return the error of a backup that is not as it was made."""
    return BackupError(
        f"The backup is damaged or was changed: {what}.",
        next_step="Use another backup; nothing was restored.",
    )
