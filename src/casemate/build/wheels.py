"""Looks into a wheel before anything of it is unpacked.

A wheel is refused, by the name of its member, if it is not exactly what its RECORD says: names
that lead out, members twice, links, sizes that lie, hashes that differ, members that nobody lists,
bytes around the archive. Two readers of such a file would see two packages.
"""

from __future__ import annotations

import base64
import binascii
import csv
import email.parser
import email.policy
import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from casemate.build.errors import SourceTreeError
from casemate.build.limits import (
    MAX_BUNDLE_BYTES,
    MAX_RATIO,
    MAX_SOURCE_FILES,
    MIB,
    RATIO_FREE_BYTES,
)
from casemate.build.payload import MAX_LOOKED_AT, Mark, payload_mark
from casemate.build.tree import check_collisions, check_path
from casemate.package_index import POLICY_FILE, PoisonedWheelError

_CHUNK = 1 << 18
_MAX_RECORD = 16 * MIB
_MAX_METADATA = 4 * MIB
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_ALGORITHMS = ("sha256", "sha384", "sha512")
_END_OF_ZIP = b"PK\x05\x06".ljust(22, b"\0")
"""Begin and length of the last structure of a zip archive, which has no comment."""

_BEGIN_OF_MEMBER = b"PK\x03\x04"
_MEMBER = struct.Struct("<6x2H4x3L2H")
"""What stands before each member: flags, method, CRC, sizes, lengths of its name and more."""
_FIELD = struct.Struct("<2H")
"""What stands before each field behind the name: its kind and its length."""
_SIZES = 1
"""The kind of the field that holds sizes for which there was no room."""
_IN_FIELD = 0xFFFFFFFF
"""Stands in place of such a size."""
_DESCRIBED_BEHIND = 0x8
"""The flag of a member whose CRC and sizes stand behind it."""
_MAX_DESCRIPTOR = 24

Accepts = Callable[[str, str], bool]
"""Tells whether packed code in a release, by package and version, was accepted."""


def inspect_wheel(path: Path, filename: str, *, accepts: Accepts) -> None:
    """Raise PoisonedWheelError unless a wheel is sound.

    Reads each member once, little by little (its METADATA and RECORD twice).
    """
    try:
        name, version, _, _ = parse_wheel_filename(filename)
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            size = path.stat().st_size
            _check_end(filename, file, size)
            members = [each for each in archive.infolist() if not each.is_dir()]
            _check_directory(filename, archive, members, size)
            _check_layout(filename, file, archive, size)
            info = _dist_info(filename, members)
            _check_metadata(filename, _text(archive, f"{info}/METADATA"), str(name), version)
            record = _record(filename, _text(archive, f"{info}/RECORD"))
            _check_listed(filename, info, record, members)
            hidden = _check_members(filename, archive, members, record)
            if hidden is not None and not accepts(str(name), str(version)):
                raise _hides_code(filename, str(name), str(version), *hidden)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise PoisonedWheelError(f"{filename[:200]!a} is not the name of a wheel.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise PoisonedWheelError(
            f"{filename} is not a sound archive: {str(error)[:200]}.", next_step=_NEXT
        ) from error
    except (OSError, ValueError) as error:
        raise PoisonedWheelError(f"{filename} cannot be read as a wheel.") from error


_NEXT = "Do not use it; tell whoever publishes it, or the index."


def _poisoned(filename: str, what: str) -> PoisonedWheelError:
    return PoisonedWheelError(f"{filename}: {what}.", next_step=_NEXT)


def _check_end(filename: str, file: IO[bytes], size: int) -> None:
    """Refuse an archive with a comment or anything else behind it: readers differ there."""
    file.seek(max(0, size - len(_END_OF_ZIP)))
    end = file.read(len(_END_OF_ZIP))
    if end[:4] != _END_OF_ZIP[:4] or end[-2:] != b"\0\0":
        raise _poisoned(filename, "it is not a zip archive, or has bytes behind its end")


def _check_directory(
    filename: str, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], size: int
) -> None:
    """Check what the archive says of its members, before one is read."""
    if len(members) > MAX_SOURCE_FILES:
        raise _poisoned(filename, f"more than {MAX_SOURCE_FILES} files")
    total = sum(each.file_size for each in members)
    if total > MAX_BUNDLE_BYTES or total > max(RATIO_FREE_BYTES, MAX_RATIO * size):
        raise _poisoned(filename, f"unpacks to {total} bytes, from {size}")
    everything = archive.infolist()
    seen: set[str] = set()
    for each in everything:
        if each.filename != each.orig_filename or each.orig_filename in seen:
            what = "is there twice" if each.orig_filename in seen else "has a name that is cut"
            raise _poisoned(filename, f"{each.orig_filename[:200]!a} {what}")
        seen.add(each.orig_filename)
        kind = stat.S_IFMT(each.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _poisoned(filename, f"{each.filename[:200]!a} is a link or a device")
        if each.flag_bits & 0x1:
            raise _poisoned(filename, f"{each.filename[:200]!a} is encrypted")
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _poisoned(filename, f"{each.filename[:200]!a} is packed in an unusual way")
    try:
        for each in everything:
            check_path(each.filename.removesuffix("/"))
        check_collisions(each.filename for each in members)
    except SourceTreeError as error:
        raise _poisoned(filename, error.message.rstrip(".")) from error


def _check_layout(filename: str, file: IO[bytes], archive: zipfile.ZipFile, size: int) -> None:
    """Refuse bytes before, between and behind: another reader may take them for the archive."""
    end = spare = 0
    for each in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if not end <= each.header_offset <= end + spare:
            raise _poisoned(filename, f"{each.filename[:200]!a} overlaps others, or comes late")
        end = _end_of(filename, file, each)
        spare = _MAX_DESCRIPTOR if each.flag_bits & _DESCRIBED_BEHIND else 0
    if not end <= archive.start_dir <= min(end + spare, size - len(_END_OF_ZIP)):
        raise _poisoned(filename, "its directory lies where none belongs")


def _end_of(filename: str, file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Return where a member ends. What stands before it has to say what the directory does.

    There are readers that go from one member to the next, and never see the directory.
    """
    file.seek(member.header_offset)
    begin = file.read(_MEMBER.size)
    if len(begin) < _MEMBER.size or begin[:4] != _BEGIN_OF_MEMBER:
        raise _poisoned(filename, f"{member.filename[:200]!a} does not begin where it is to")
    flags, method, crc, packed, whole, name_length, more = _MEMBER.unpack(begin)
    end: int = member.header_offset + len(begin) + name_length + more + member.compress_size
    fields = file.read(name_length + more)[name_length:]
    behind = flags & _DESCRIBED_BEHIND
    told = (crc, *_sizes(packed, whole, fields))
    listed = (member.CRC, member.compress_size, member.file_size)
    if (
        method != member.compress_type
        or behind != member.flag_bits & _DESCRIBED_BEHIND
        or any(
            one != other and not (one == 0 and behind)
            for one, other in zip(told, listed, strict=True)
        )
    ):
        raise _poisoned(filename, f"{member.filename[:200]!a} is told in two ways")
    return end


def _sizes(packed: int, whole: int, fields: bytes) -> tuple[int, int]:
    """Return the sizes that stand before a member, packed and whole, wherever they stand."""
    place = 0
    while place + _FIELD.size <= len(fields):
        kind, length = _FIELD.unpack_from(fields, place)
        place += _FIELD.size
        if kind == _SIZES:
            value = fields[place : place + length]
            if whole == _IN_FIELD:
                whole, value = int.from_bytes(value[:8], "little"), value[8:]
            if packed == _IN_FIELD:
                packed = int.from_bytes(value[:8], "little")
        place += length
    return packed, whole


def _dist_info(filename: str, members: list[zipfile.ZipInfo]) -> str:
    """Return the name of the one folder of metadata."""
    tops = {each.filename.split("/")[0] for each in members}
    found = [top for top in tops if top.endswith(".dist-info")]
    if len(found) != 1:
        raise _poisoned(filename, f"{len(found)} folders of metadata (.dist-info), expected one")
    own = "-".join(filename.split("-")[:2]) + ".dist-info"
    if _folder_key(found[0]) != _folder_key(own):
        raise _poisoned(filename, f"its metadata are in {found[0][:200]!a}")
    return found[0]


def _folder_key(folder: str) -> tuple[str, str]:
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    return canonicalize_name(name), str(Version(version))


def _check_metadata(filename: str, text: str, name: str, version: Version) -> None:
    headers = email.parser.HeaderParser(policy=email.policy.compat32).parsestr(text)
    names, versions = headers.get_all("Name", []), headers.get_all("Version", [])
    if len(names) != 1 or canonicalize_name(str(names[0]).strip()) != name:
        raise _poisoned(filename, f"its metadata are of {str(names)[:200]}")
    if len(versions) != 1 or Version(str(versions[0]).strip()) != version:
        raise _poisoned(filename, f"its metadata are of version {str(versions)[:200]}")


def _text(archive: zipfile.ZipFile, member: str) -> str:
    most = _MAX_RECORD if member.endswith("/RECORD") else _MAX_METADATA
    try:
        info = archive.getinfo(member)
    except KeyError as error:
        raise zipfile.BadZipFile(f"there is no {member}") from error
    if info.file_size > most:
        raise zipfile.BadZipFile(f"{member} has more than {most} bytes")
    return archive.read(info).decode("utf-8", "replace")


def _record(filename: str, text: str) -> dict[str, str]:
    """Return the hashes that RECORD says, by path; empty where it says none."""
    listed: dict[str, str] = {}
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise _poisoned(filename, "RECORD cannot be read") from error
    for row in rows:
        if row[0] in listed:
            raise _poisoned(filename, f"RECORD lists {row[0][:200]!a} twice")
        listed[row[0]] = row[1] if len(row) > 1 else ""
    return listed


def _check_listed(
    filename: str, info: str, record: dict[str, str], members: list[zipfile.ZipInfo]
) -> None:
    """Check that RECORD lists what is there, and nothing else."""
    present = {each.filename for each in members}
    for path in record:
        if path not in present:
            raise _poisoned(filename, f"RECORD lists {path[:200]!a}, which is not there")
    for path in present - {f"{info}/{name}" for name in _UNLISTED}:
        if path not in record:
            raise _poisoned(filename, f"RECORD does not list {path[:200]!a}")


def _check_members(
    filename: str, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], record: dict[str, str]
) -> tuple[str, Mark] | None:
    """Unpack each member into nothing, and compare its hash; return the first mark of packed code.

    Of one member no more is held than is looked at for such marks.
    """
    packed: tuple[str, Mark] | None = None
    for each in members:
        algorithm, _, told = record.get(each.filename, "").partition("=")
        if algorithm and algorithm not in _ALGORITHMS:
            raise _poisoned(filename, f"{each.filename[:200]!a} has a weak hash in RECORD")
        total = hashlib.new(algorithm or "sha256")
        looked_at = bytearray()
        is_code = packed is None and each.filename.endswith(".py")
        with archive.open(each) as file:
            while chunk := file.read(_CHUNK):
                total.update(chunk)
                if is_code and len(looked_at) < MAX_LOOKED_AT:
                    looked_at += chunk
        if algorithm and not _is_right(told, total.digest()):
            raise _poisoned(filename, f"{each.filename[:200]!a} has another hash than RECORD says")
        mark = payload_mark(bytes(looked_at))
        if mark is not None:
            packed = each.filename, mark
    return packed


def _hides_code(
    filename: str, package: str, version: str, member: str, mark: Mark
) -> PoisonedWheelError:
    return PoisonedWheelError(
        f"{filename}: {member[:200]!a}, line {mark.line}, {mark.what}. Attacks hide "
        "so, and few others do.",
        next_step="Look at it. If you mean it, record an exception in "
        f'{POLICY_FILE}: [[exception]] package = "{package}", version = '
        f'"{version}", allow = ["payload"], a reason and an end (`expires`).',
    )


def _is_right(told: str, digest: bytes) -> bool:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", told):
        return False
    try:
        return base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)) == digest
    except (binascii.Error, ValueError):
        return False
