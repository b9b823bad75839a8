"""Archives that are brought in are refused, or read as what they are: nothing is written or held
for who has signed nothing, and whatever is wrong with one is told as an error of ours.
"""

from __future__ import annotations

import base64
import lzma
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.advisories.budget import Budget
from casemate.advisories.errors import SourceError
from casemate.advisories.reading import read_files
from casemate.backup.archive import BackupError
from casemate.backup.proving import read_manifest
from casemate.backup.restore import restore
from casemate.build.archive import unpack
from casemate.build.errors import ArchiveError
from casemate.evidence.archive import EvidenceError, opened
from casemate.model.errors import CasemateError
from casemate.signing import SigningKey
from casemate.upgrade.errors import ReleaseError
from casemate.upgrade.release import read_release
from support.hostile_archives import END, compressed, header, padded, tars

KEY = SigningKey.from_bytes(bytes([1]) * 32)
PUBLIC = base64.b64encode(KEY.public).decode()
MOST_HELD = 24 << 20
MOST_SECONDS = 2.0
ARCHIVES = tars()


def _release(archive: Path, folder: Path) -> Any:
    return read_release(archive, folder, [PUBLIC])


def _advisories(archive: Path, _folder: Path) -> Any:
    return list(read_files(archive, Budget(time.monotonic() + 60)))


def _evidence(archive: Path, _folder: Path) -> Any:
    return opened(archive.read_bytes())


def _backup(archive: Path, folder: Path) -> Any:
    return restore(archive, folder / "data", read_manifest(archive))


def _bundle(archive: Path, folder: Path) -> Any:
    with archive.open("rb") as file:
        return unpack(file, folder / ("0" * 64), "0" * 64)


READERS: dict[str, tuple[Callable[[Path, Path], Any], type[CasemateError]]] = {
    "release": (_release, ReleaseError),
    "evidence": (_evidence, EvidenceError),
    "backup": (_backup, BackupError),
    "bundle": (_bundle, ArchiveError),
    "advisories": (_advisories, SourceError),
}
READ = {
    "kind folder", "name dot", "name zero", "name other case", "name star", "name statement",
    "note time that is none", "note endless time", "note owner of 4000 digits", "note attributes",
    "note path with a zero", "note many", "note bytes", "set user id", "many folders",
    "many files", "more behind", "another behind", "large statement", "deep statement",
    "version 7", "zip as well", "name none", "name root", "name no text", "twice",
}  # fmt: skip
"""Of advisories: files that are no records are passed over, whatever they are called."""


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ARCHIVES)
def test_what_no_tool_writes_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, reader: str
) -> None:
    archive, folder = tmp_path / "hostile.tar", tmp_path / "target"
    archive.write_bytes(ARCHIVES[name])
    folder.mkdir()
    read, error = READERS[reader]
    tracemalloc.start()
    began = time.process_time()
    try:
        found = read(archive, folder)
    except CasemateError as raised:
        assert isinstance(raised, error | SourceError), repr(raised)
        found = None
    spent, (_, held) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if found is not None:
        assert reader == "advisories" and name in READ
    assert list(folder.rglob("*")) == []
    assert held < MOST_HELD and spent < MOST_SECONDS


@pytest.mark.parametrize("name", compressed())
def test_what_is_compressed_takes_no_more_memory_than_is_allowed(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "hostile.tar.xz"
    archive.write_bytes(compressed()[name])
    tracemalloc.start()
    try:
        assert _advisories(archive, tmp_path) == [("a.json", b"{}")]
        # What comes behind the end of the archive is not looked at.
        assert name in ("xz that is cut", "xz and junk", "gzip that is cut")
    except SourceError:
        assert "junk" not in name
    _, held = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < MOST_HELD


def test_what_xz_compresses_is_read_also_in_several_streams(tmp_path: Path) -> None:
    plain = header(b"a.json", 2) + padded(b"{}") + END
    archive = tmp_path / "honest.tar.xz"
    streams = lzma.compress(plain[:700]) + bytes(8) + lzma.compress(plain[700:]) + bytes(70_000)
    archive.write_bytes(streams)
    assert _advisories(archive, tmp_path) == [("a.json", b"{}")]
