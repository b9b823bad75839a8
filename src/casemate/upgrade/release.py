"""A release: wheels, and a signed statement that names each of them.

`release.json` is a DSSE envelope of an in-toto statement (v1). Its subjects are the wheels with
their SHA-256, its predicate says which version they are, which one it can come from, and which
schemas it knows. Nothing of a release is used before its signatures and digests held.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Annotated

import msgspec
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import InvalidInputError
from casemate.model.signing import Envelope
from casemate.signing import SigningKey, key_id, opened, require_public, sealed
from casemate.signing.statements import STATEMENT, Statement, encoded
from casemate.tar_headers import CutError, HeaderError, next_member, padding
from casemate.upgrade.errors import ReleaseError
from casemate.upgrade.versions import COMPLETE, VERSION

PREDICATE = "urn:casemate:release:1"
OWN = "casemate"
MAX_FILES = 500
MAX_BYTES = 2 << 30
"""Of all files of a release together."""
MAX_STATEMENT_BYTES = 1 << 20
_MAX_MEMBERS = 2 * MAX_FILES
_PIECE = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,199}\.whl")
_PINNED_IN_WHEEL = "casemate/upgrade/release_keys.toml"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Predicate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[str, msgspec.Meta(max_length=64)]
    since: Annotated[str, msgspec.Meta(max_length=64)]
    schemas: Annotated[dict[str, int], msgspec.Meta(min_length=1, max_length=16)]


class _Pinned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[str, ...]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A release whose signatures held, and whose files are in a folder of ours."""

    version: str
    since: str
    """The oldest version that it can come from."""
    schemas: dict[str, int]
    files: dict[str, str]
    """SHA-256 of each wheel, by its name."""
    folder: Path
    statement: bytes
    """The envelope, as it was given."""

    def requirements(self) -> str:
        """Return what is to be installed, each package at one version and with all its hashes."""
        lines: dict[str, set[str]] = {}
        for name, digest in self.files.items():
            package, version, _, _ = parse_wheel_filename(name)
            lines.setdefault(f"{package}=={version}", set()).add(f"--hash=sha256:{digest}")
        return "".join(f"{line} {' '.join(sorted(lines[line]))}\n" for line in sorted(lines))


def pinned_keys() -> tuple[str, ...]:
    """Return the public keys that this version expects the next one to be signed with."""
    data = Path(__file__).with_name("release_keys.toml").read_bytes()
    return msgspec.toml.decode(data, type=decodable(_Pinned)).keys


def require_pinned(wheel: Path, key: SigningKey) -> None:
    """Raise ReleaseError unless a wheel of Casemate pins a key: that of the release after it."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(_PINNED_IN_WHEEL) as file:
            data = file.read(MAX_STATEMENT_BYTES)
        pinned = msgspec.toml.decode(data, type=decodable(_Pinned)).keys
    except (KeyError, OSError, ValueError, zipfile.BadZipFile, *DECODING_ERRORS) as error:
        raise ReleaseError(f"{wheel.name} cannot be read: {str(error)[:200]}.") from error
    own = base64.b64encode(key.public).decode()
    if own not in pinned:
        raise ReleaseError(
            f"{wheel.name} does not pin the key that signs it, so that whoever runs it would have "
            "to be told that key for the next release.",
            next_step=f'Write keys = ["{own}"] into src/casemate/upgrade/release_keys.toml, and '
            "build the wheel again; or leave that to people: --unpinned",
        )


def read_release(source: Path, target: Path, keys: Iterable[str]) -> Release:
    """Copy a release into the empty folder `target`, of ours alone, and verify the copy.

    `source` is a folder, or a tar archive of one; a wheel stands for its folder. Each of `keys`
    has to have signed. Raises ReleaseError, OSError.
    """
    public = {key_id(raw): raw for raw in map(_public, keys)}
    if not public:
        raise ReleaseError(
            "This version pins no key that releases are signed with.",
            next_step="Name the one that you trust: --key BASE64",
        )
    if source.suffix == ".whl":
        source = source.parent
    if source.is_dir():
        statement = _read(source / COMPLETE)
        release = _verified(statement, public, target)
        left = MAX_BYTES
        for name in release.files:
            with _open(source / name) as file:
                # One more than there may be, to see that there is more.
                left -= _copy(file, target / name, left + 1)
            if left < 0:
                raise _too_large()
    else:
        release = _unpacked(source, public, target)
    for name, digest in release.files.items():
        _require_digest(target / name, digest)
    return release


def _public(text: str) -> bytes:
    try:
        return require_public(text.strip())
    except InvalidInputError as error:
        raise ReleaseError(
            f"{text[:80]!r} is no public key: {error.message}",
            next_step="Give the base64 of its 32 bytes, as whoever made the release published it.",
        ) from error


def _open(path: Path) -> io.BufferedReader:
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except FileNotFoundError as error:
        raise _missing(path.name) from error


def _missing(name: str) -> ReleaseError:
    return ReleaseError(
        f"The release has no {name}.",
        next_step="Get all of the release: a folder, or the tar archive of it.",
    )


def _read(path: Path) -> bytes:
    with _open(path) as file:
        data = file.read(MAX_STATEMENT_BYTES + 1)
    if len(data) > MAX_STATEMENT_BYTES:
        raise ReleaseError(f"{path.name} is larger than {MAX_STATEMENT_BYTES} bytes.")
    return data


def _verified(data: bytes, public: Mapping[str, bytes], folder: Path) -> Release:
    """Return what a statement says whose signatures hold. Raises ReleaseError."""
    # (1) signatures, before a byte of what was signed is looked at
    try:
        envelope = msgspec.json.decode(data, type=decodable(Envelope))
        payload, signed = opened(envelope, public)
    except DECODING_ERRORS as error:
        raise ReleaseError(f"{COMPLETE} is no signed statement: {str(error)[:200]}.") from error
    except InvalidInputError as error:
        raise ReleaseError(
            f"The signature of the release: {error.message}",
            next_step="Download the release again, and compare --key with its makers' key.",
        ) from error
    if missing := public.keys() - signed:
        raise ReleaseError(
            f"The release is not signed by the key {min(missing)[:12]}.",
            next_step="Download the release again, or leave that key out.",
        )
    # (2) the statement, in its one encoding
    try:
        statement = msgspec.json.decode(payload, type=decodable(Statement))
        said = msgspec.convert(statement.predicate, decodable(_Predicate))
        canonical = encoded(statement) == payload
    except DECODING_ERRORS as error:
        raise ReleaseError(f"What was signed is no release: {str(error)[:200]}.") from error
    if not canonical or statement.kind != STATEMENT or statement.predicateType != PREDICATE:
        raise ReleaseError(
            f"What was signed is a {statement.predicateType[:60]!r}, expected {PREDICATE}."
        )
    # (3) what it names
    files = _files(statement)
    for text in (said.version, said.since):
        parsed(text)
    if said.version not in {_own_version(name) for name in files}:
        raise ReleaseError(f"The release is of {said.version}, and has no wheel of that.")
    return Release(
        version=said.version,
        since=said.since,
        schemas=said.schemas,
        files=files,
        folder=folder,
        statement=data,
    )


def _files(statement: Statement) -> dict[str, str]:
    files: dict[str, str] = {}
    for one in statement.subject[: MAX_FILES + 1]:
        name, digest = one.get("name"), one.get("digest")
        sha256 = digest.get("sha256") if isinstance(digest, dict) else None
        if (
            not isinstance(name, str)
            or _NAME.fullmatch(name) is None
            or name in files
            or not isinstance(sha256, str)
            or _DIGEST.fullmatch(sha256) is None
        ):
            raise ReleaseError(f"The release names {str(name)[:80]!r}, which is not a wheel.")
        _own_version(name)
        files[name] = sha256
    if not files or len(files) > MAX_FILES:
        raise ReleaseError(f"The release names {len(files)} wheels, expected 1 to {MAX_FILES}.")
    return files


def _own_version(name: str) -> str | None:
    """Return the version of a wheel of Casemate, None of others. Raises ReleaseError."""
    try:
        package, version, _, _ = parse_wheel_filename(name)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise ReleaseError(f"The release names {name[:80]!r}, which is not a wheel.") from error
    return str(version) if package == canonicalize_name(OWN) else None


def parsed(text: str) -> Version:
    """Return a version to compare by. Raises ReleaseError."""
    try:
        if VERSION.fullmatch(text) is not None and str(Version(text)) == text:
            return Version(text)
    except InvalidVersion:
        pass
    raise ReleaseError(f"{text[:80]!r} is not a version.")


def _copy(file: IO[bytes], target: Path, most: int) -> int:
    """Write the next `most` bytes of a file, or what there is; return how many."""
    size = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600), "wb") as out:
        while piece := file.read(min(_PIECE, most - size)):
            size += len(piece)
            out.write(piece)
    return size


def _too_large() -> ReleaseError:
    return ReleaseError(f"The release has more than {MAX_BYTES} bytes.")


def _require_digest(path: Path, expected: str) -> None:
    with _open(path) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ReleaseError(
            f"{path.name} is not the file that the release names: its SHA-256 is {found[:12]}..., "
            f"expected {expected[:12]}....",
            next_step="Download the release again.",
        )


def _members(file: IO[bytes], source: Path) -> dict[str, tuple[int, int]]:
    """Return where in a tar archive its files are, and how long, by their names.

    None of them is read, and of what stands between them only headers.
    """
    found: dict[str, tuple[int, int]] = {}
    end = os.fstat(file.fileno()).st_size
    try:
        for _ in range(_MAX_MEMBERS + 1):
            member = next_member(file.read)
            if member is None:
                return found
            start, name = file.tell(), member.name.removeprefix("./")
            if member.folder and name in (".", ""):
                name = "."
            elif not member.plain or "/" in name:
                raise _surplus(name)
            elif name in found:
                raise HeaderError(f"{name[:80]!r} is there twice")
            else:
                found[name] = (start, member.size)
            after = start + member.size + padding(member.size)
            if after > end:
                raise CutError
            file.seek(after)
    except (HeaderError, CutError) as error:
        raise ReleaseError(
            f"{source} is no tar archive of a release: {error}.",
            next_step="Give the folder, or a tar archive that is not compressed.",
        ) from error
    raise _surplus("more files than a release has")


def _surplus(name: str) -> ReleaseError:
    return ReleaseError(
        f"The archive has {name[:80]!r}; expected wheels and {COMPLETE} alone.",
        next_step=f"Make one: tar cf release.tar -C FOLDER . (at most {MAX_FILES} wheels).",
    )


def _unpacked(source: Path, public: Mapping[str, bytes], target: Path) -> Release:
    """Verify the statement in a tar archive, then write the wheels that it names.

    Before that nothing is written: who has signed nothing does not fill a disk.
    """
    with _open(source) as file:
        found = _members(file, source)
        start, size = _found(found, COMPLETE)
        if size > MAX_STATEMENT_BYTES:
            raise ReleaseError(f"{COMPLETE} is larger than {MAX_STATEMENT_BYTES} bytes.")
        file.seek(start)
        release = _verified(file.read(size), public, target)
        left = MAX_BYTES
        for name in release.files:
            start, size = _found(found, name)
            if size > left:
                raise _too_large()
            left -= size
            file.seek(start)
            _copy(file, target / name, size)
    return release


def _found(found: Mapping[str, tuple[int, int]], name: str) -> tuple[int, int]:
    if name not in found:
        raise _missing(name)
    return found[name]


def sign_release(
    folder: Path, *, version: str, since: str, schemas: Mapping[str, int], keys: list[SigningKey]
) -> None:
    """Write the signed statement about all wheels of a folder into it. Raises OSError."""
    subject = []
    for path in sorted(folder.glob("*.whl")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        subject.append({"name": path.name, "digest": {"sha256": digest}})
    statement = Statement(
        kind=STATEMENT,
        subject=tuple(subject),
        predicateType=PREDICATE,
        predicate={"version": version, "since": since, "schemas": dict(schemas)},
    )
    data = msgspec.json.encode(sealed(encoded(statement), keys))
    public = [base64.b64encode(key.public).decode() for key in keys]
    _verified(data, {key_id(_public(text)): _public(text) for text in public}, folder)
    (folder / COMPLETE).write_bytes(data)
