"""A backup is all of a node and nothing but its ciphertext; a restore is all of a backup."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.backup.archive import (
    END,
    ArchiveReader,
    BackupError,
    Entry,
    Manifest,
    encode,
    header,
    padding,
)
from casemate.backup.making import BackupMaker
from casemate.backup.proving import read_manifest
from casemate.backup.restore import restore
from casemate.folder.folders import Folders
from casemate.folder.ownership import MARKER, mark
from casemate.journal import verify
from casemate.journal.copying import JournalCopy
from casemate.model.deployment import LIVE, NewVersion
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.function import FunctionSpec
from casemate.model.processes import GATEWAY_UID, MONITOR_UID, RECORDER_UID, VAULT_UID
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.store.sqlite.store import SqliteStore
from casemate.unwritten import try_again, unwritten
from support.journal import KEY as KEY_OF_JOURNAL
from support.journal import write_journal

KEY = bytes(range(32))
FILES = {
    "store/records.db": b"s" * 5000,
    "journal/records/records.db": b"r" * 3000,
    "data/shop@1.db": b"d" * 512,
    "data/objects/shop/ab12": b"",
    "vault/vault.sealed": b"v" * 700,
    "bundles/" + "a" * 64 + ".sealed": b"b" * 1025,
}


def manifest_of(contents: dict[str, bytes], /, **changes: Any) -> Manifest:
    entries = tuple(
        Entry(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    )
    values = {"format": 1, "created_at": 1.0, "version": "1", "files": entries, **changes}
    return Manifest(**values)


def archive(files: dict[str, bytes] = FILES, manifest: Manifest | None = None) -> bytes:
    text = encode(manifest or manifest_of(files))
    parts = [header("manifest.json", len(text)), text, padding(len(text))]
    for name, data in files.items():
        parts += [header(name, len(data)), data, padding(len(data))]
    return b"".join([*parts, END])


def read(data: bytes, step: int = 700) -> Manifest:
    reader = ArchiveReader()
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step])
    return reader.finish()[0]


def restored(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / "b.tar").write_bytes(data)
    return put_back(tmp_path / "b.tar", tmp_path / "node")


def put_back(file: Path, folder: Path) -> Path:
    """Restore what is not proven; what proves it has tests of its own."""
    restore(file, folder, read_manifest(file))
    return folder


def refused(tmp_path: Path, data: bytes, match: str = "") -> None:
    with pytest.raises(BackupError, match=match) as caught:
        restored(tmp_path, data)
    assert caught.value.next_step
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from casemate.backup import restore as restoring
from casemate.backup.proving import read_manifest
restoring._sync_tree = lambda _draft: os.kill(os.getpid(), signal.SIGKILL)
restoring.restore(Path(sys.argv[1]), Path(sys.argv[2]), read_manifest(Path(sys.argv[1])))
"""


def test_what_a_killed_restore_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Before: a whole node stayed beside its place for each kill, and nobody was told of it."""
    (tmp_path / "b.tar").write_bytes(archive())
    for name in ("node", "other"):
        command = [sys.executable, "-c", _KILLED, str(tmp_path / "b.tar"), str(tmp_path / name)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (others,) = tmp_path.glob(".other.restore-*")
    assert (others / "bundles").is_dir()
    restored(tmp_path, archive())
    assert {p.name for p in tmp_path.iterdir()} == {"b.tar", "node", others.name}


@pytest.mark.parametrize("step", [1, 511, 512, 10**6])
def test_an_archive_is_read_in_pieces_of_any_size_and_by_tar(step: int) -> None:
    assert read(archive(), step) == manifest_of(FILES)
    with tarfile.open(fileobj=io.BytesIO(archive())) as tar:
        assert tar.getnames() == ["manifest.json", *FILES]


def test_a_restore_has_every_file_private(tmp_path: Path) -> None:
    node = restored(tmp_path, archive())
    found = {p.relative_to(node).as_posix(): p for p in node.rglob("*")}
    # A mark besides: no backup holds the journal, and a new one is expected.
    kept = {n: p.read_bytes() for n, p in found.items() if p.is_file()}
    assert kept == FILES | {"journal/new": b""}
    assert (node / "spool").is_dir()
    for name, path in found.items():
        status = path.stat()
        assert status.st_mode & 0o077 == 0, name
        if os.geteuid() == 0:
            owners = {"vault": VAULT_UID, "journal": RECORDER_UID, "monitor": MONITOR_UID}
            assert status.st_uid == owners.get(name.split("/")[0], GATEWAY_UID), name


@settings(max_examples=150, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(where: float, bit: int) -> None:
    data = bytearray(archive())
    data[int(where * len(data))] ^= 1 << bit
    try:
        found = read(bytes(data))
    except BackupError as error:
        assert error.next_step
    else:  # in the manifest's time or version, which nothing is decided by
        assert found.files == manifest_of(FILES).files


@settings(max_examples=60, deadline=None)
@given(length=st.floats(0, 1, exclude_max=True), more=st.binary(min_size=1, max_size=600))
def test_cut_and_longer_archives_are_refused(length: float, more: bytes) -> None:
    data = archive()
    with pytest.raises(BackupError):
        read(data[: int(length * len(data))])
    with pytest.raises(BackupError):
        read(data + more)


def test_a_damaged_or_cut_archive_leaves_nothing(tmp_path: Path) -> None:
    data = bytearray(archive())
    data[data.index(b"ssss") + 100] ^= 1
    refused(tmp_path, bytes(data), "hash")
    refused(tmp_path, archive()[:-2000], "cut short")
    refused(tmp_path, b"", "cut short")
    refused(tmp_path, b"PK" * 4000, "manifest")


@pytest.mark.parametrize(
    "name",
    [
        "store/../../etc/passwd",
        "../x",
        "/etc/passwd",
        "store/./x",
        "store//x",
        "store/.hidden",
        "other/x",
        "store",
        "store/x\n",
        "store/x\0y",
        "store/é",
        "vault/a/../../b",
        "",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    manifest = manifest_of({**FILES, name: b""})
    with pytest.raises(BackupError, match="not valid"):
        read(archive(FILES, manifest))
    refused(tmp_path, archive(FILES, manifest))


def member(name: str, kind: bytes, target: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder"),
        (tarfile.GNUTYPE_SPARSE, "another member"),
        (tarfile.XHDTYPE, "another member"),
    ],
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes, match: str) -> None:
    name = "store/records.db"
    data = archive().replace(header(name, 5000), member(name, kind, "/etc/passwd"))
    refused(tmp_path, data, match)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": 3},
        {"files": manifest_of({**FILES, "store/records.db/x": b""}).files},
        {"files": (*manifest_of(FILES).files, manifest_of(FILES).files[0])},
        {"files": manifest_of(FILES).files[1:]},
        {"files": manifest_of({"store/records.db": b""}).files},
        {"files": (Entry(name="store/records.db", size=-1, sha256="0" * 64),)},
        {"files": (Entry(name="store/records.db", size=2**60, sha256="0" * 64),)},
        {"files": (Entry(name="store/records.db", size=1, sha256="x"),)},
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    refused(tmp_path, archive(FILES, manifest_of(FILES, **changes)))


@pytest.mark.parametrize("length", [256, 5_000, 200_000])
def test_a_name_that_no_header_holds_is_refused_before_folders_are_made_of_it(
    tmp_path: Path, length: int
) -> None:
    """Those of 100,000 characters came to 3 GB."""
    name = ("data" + "/a" * length)[:length]
    many = [Entry(name=f"{name[:-4]}{n:04}", size=0, sha256="0" * 64) for n in range(20)]
    began = time.process_time()
    refused(tmp_path, archive(FILES, manifest_of(FILES, files=tuple(many))), "not valid")
    assert time.process_time() - began < 1


def test_a_size_beyond_the_disk_is_refused_before_writing(tmp_path: Path) -> None:
    large = Entry(name="data/large.db", size=8 * 1024**3 - 1, sha256="0" * 64)
    many = tuple(msgspec.structs.replace(large, name=f"data/{n}.db") for n in range(100_000))
    manifest = manifest_of(FILES, files=(*manifest_of(FILES).files, *many))
    refused(tmp_path, archive(FILES, manifest), "are free")


def test_folders_in_use_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(archive())
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "x").write_text("mine")
    with pytest.raises(BackupError, match="not empty"):
        put_back(tmp_path / "b.tar", tmp_path / "node")
    assert (tmp_path / "node" / "x").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupError, match="not a folder"):
        put_back(tmp_path / "b.tar", tmp_path / "link")
    put_back(tmp_path / "b.tar", tmp_path / "empty")
    with pytest.raises(BackupError, match="not empty"):
        put_back(tmp_path / "b.tar", tmp_path / "empty")
    with pytest.raises(BackupError, match="cannot be read"):
        put_back(tmp_path / "missing.tar", tmp_path / "other")
    manifest = read_manifest(tmp_path / "b.tar")
    with pytest.raises(BackupError, match="cannot be restored"):
        restore(tmp_path / "missing.tar", tmp_path / "other", manifest)
    other = msgspec.structs.replace(manifest, created_at=2.0)
    with pytest.raises(BackupError, match="changed while it was read"):
        restore(tmp_path / "b.tar", tmp_path / "other", other)
    assert not (tmp_path / "other").exists()


def test_no_data_is_made_where_a_node_would_refuse_it(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(archive())
    (tmp_path / "node" / "blobs").mkdir(parents=True)
    mark(tmp_path / "node")
    for within in ("restored", "blobs/deeper/restored"):
        with pytest.raises(BackupError, match=r"inside .*, the data folder of another node"):
            put_back(tmp_path / "b.tar", tmp_path / "node" / within)
    assert sorted(path.name for path in (tmp_path / "node").rglob("*")) == ["blobs", MARKER]
    with pytest.raises(BackupError, match="a folder of the system"):
        put_back(tmp_path / "b.tar", Path("/srv"))


class Data:
    """A data package whose copy is two files."""

    async def snapshot(self, folder: Path) -> None:
        (folder / "objects" / "shop").mkdir(parents=True)
        (folder / "shop@1.db").write_bytes(b"encrypted")
        (folder / "objects" / "shop" / "ab12").write_bytes(b"encrypted too")


class Records:
    """What the recorder keeps, whose copy is one file."""

    async def snapshot(self, target: Path) -> None:
        target.write_bytes(b"encrypted by another")


class Journal:
    """The copy of a journal with some entries."""

    async def snapshot(self, folder: Path) -> None:
        writer = write_journal(folder.parent / "source", [300])
        with (folder / "copy.0").open("wb") as file:
            assert not JournalCopy(folder.parent / "source", KEY_OF_JOURNAL, writer).write(
                file.fileno(), 1 << 30
            )
        writer.close()
        shutil.rmtree(folder.parent / "source")


class Vault:
    failing = False

    async def next_backup(self) -> int:
        return 1

    async def sign_backup(self, _number: int, _digest: bytes) -> bytes:
        return b"signature"

    async def export(self) -> dict[str, bytes]:
        if self.failing:
            raise UnavailableError("The vault is gone.")
        return {"vault.sealed": b"wrapped"}


@pytest.fixture
def node(tmp_path: Path) -> Any:
    folders = Folders(tmp_path / "data")
    folders.make(None, None, None)
    store = SqliteStore.open(folders.store, key=KEY)
    (folders.bundles / ("a" * 64 + ".sealed")).write_bytes(b"sealed")
    vault = Vault()
    maker = BackupMaker(
        folders,
        store=store,
        records=Records(),
        journal=Journal(),
        data=Data(),
        vault=vault,  # type: ignore[arg-type]
        version="1",
        node="node-1",
    )
    yield SimpleNamespace(folders=folders, store=store, vault=vault, maker=maker)
    asyncio.run(store.close())


def test_a_spool_that_fails_is_told_and_no_fault_of_the_store(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: 500, with a path of the node, and every part of the health was well."""

    def read_only(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr("casemate.store.sqlite.snapshot.create_private", read_only)
        with pytest.raises(UnavailableError) as refused:
            asyncio.run(node.maker.prepare())
        assert refused.value.message == "The backup cannot be made: Read-only file system."
        patched.setattr("casemate.unwritten._write_trial", read_only)
        try_again()
        (told,) = unwritten()
        assert told.startswith("spool: 1 failed since")
    try_again()
    assert unwritten() == ()
    assert list(node.folders.spool.iterdir()) == []


def test_copies_that_the_disk_keeps_for_a_moment_go_with_the_next(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: they lay there until the next start, each as large as the node."""
    with monkeypatch.context() as patched:
        kept = SimpleNamespace(rmtree=lambda *_, **__: None)
        patched.setattr("casemate.backup.making.shutil", kept)
        with pytest.raises(AssertionError):
            asyncio.run(whole(node))
    assert len(list(node.folders.spool.iterdir())) == 1
    asyncio.run(whole(node))
    assert list(node.folders.spool.iterdir()) == []


async def whole(node: Any) -> bytes:
    backup = await node.maker.prepare()
    try:
        data = b"".join([piece async for piece in backup.pieces()])
        assert len(data) == backup.size
    finally:
        await backup.close()
    assert list(node.folders.spool.iterdir()) == []
    return data


def test_a_node_comes_back_from_its_backup(node: Any, tmp_path: Path) -> None:
    async def run() -> None:
        spec = FunctionSpec(name="planted", handler="a:b", python="3.11")
        new = NewVersion(project="p", function="planted", digest="a" * 64, spec=spec)
        await node.store.change(KeepVersions(versions=(new,), by="k"))
        data = await whole(node)
        assert b"planted" not in data
        again = restored(tmp_path, data)
        assert (again / "bundles" / ("a" * 64 + ".sealed")).read_bytes() == b"sealed"
        assert (again / "vault" / "vault.sealed").read_bytes() == b"wrapped"
        assert (again / "data" / "objects" / "shop" / "ab12").read_bytes() == b"encrypted too"
        if os.geteuid() == 0:
            os.chown(again / "store", 0, 0)
            os.chown(again / "store" / "records.db", 0, 0)
        store = SqliteStore.open(again / "store", key=KEY)
        (function,) = (await store.read(ListFunctions())).functions
        assert (function.name, function.aliases[0].name) == ("planted", LIVE)
        await store.close()

    asyncio.run(run())


def test_a_backup_is_made_where_the_disk_has_no_links(
    node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object, **_named: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    again = restored(tmp_path, asyncio.run(whole(node)))
    assert (again / "bundles" / ("a" * 64 + ".sealed")).read_bytes() == b"sealed"


def test_a_failure_on_the_way_leaves_nothing_in_the_spool(node: Any) -> None:
    async def run() -> None:
        node.vault.failing = True
        with pytest.raises(CasemateError, match="vault is gone"):
            await node.maker.prepare()
        assert list(node.folders.spool.iterdir()) == []
        node.vault.failing = False
        task = asyncio.create_task(node.maker.prepare())
        await asyncio.sleep(0)
        await asyncio.sleep(0.002)
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            await outcome.close()
        await asyncio.sleep(0.1)
        assert list(node.folders.spool.iterdir()) == []

    asyncio.run(run())


def test_a_copy_that_is_lost_meanwhile_ends_the_archive_with_an_error(node: Any) -> None:
    async def run() -> None:
        backup = await node.maker.prepare()
        (staging,) = node.folders.spool.iterdir()
        os.truncate(staging / "store" / "records.db", 100)
        with pytest.raises(UnavailableError, match="shorter"):
            [piece async for piece in backup.pieces()]
        await backup.close()

    asyncio.run(run())


def with_journal(node: Any) -> dict[str, bytes]:
    """Return the files of a backup that has a journal."""
    data = asyncio.run(whole(node))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()[1:]}  # type: ignore[union-attr]


def folder_of(tmp_path: Path) -> Path:
    """Return a folder with nothing in it, beside that of the node."""
    folder = tmp_path / "alone"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_journal_comes_back_verified_and_marked(node: Any, tmp_path: Path) -> None:
    again = restored(tmp_path, archive(with_journal(node)))
    found = verify(again / "journal", KEY_OF_JOURNAL)
    assert (found.size, found.findings) == (300, ())
    mark = msgspec.json.decode((again / "journal/restored").read_bytes())
    assert (mark["entries"], mark["made_at"], len(mark["archive"])) == (300, 1.0, 64)
    assert not (again / "journal/new").exists() and not (again / "journal/copy.0").exists()
    for path in (again / "journal").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        if os.geteuid() == 0:
            assert path.stat().st_uid == RECORDER_UID, path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"entry 41", b"entry 14"),
        (b"entry 299", b"entry 992"),
        (b"tile/entries/000", b"tile/entries/009"),
        (b"casemate.test/journal\n300\n", b"casemate.test/journal\n299\n"),
        (b"checkpoint", b"checkpoinx"),
    ],
)
def test_a_journal_that_is_not_what_was_signed_is_not_restored(
    node: Any, tmp_path: Path, old: bytes, new: bytes
) -> None:
    files = with_journal(node)
    changed = files["journal/copy.0"].replace(old, new)
    assert changed != files["journal/copy.0"]
    refused(folder_of(tmp_path), archive({**files, "journal/copy.0": changed}), "journal")


@pytest.mark.parametrize(
    "name", ["pending", "new", "restored", "checkpoint", "copy.x", "tile/0/000"]
)
def test_files_of_a_journal_come_out_of_its_copy_alone(tmp_path: Path, name: str) -> None:
    refused(tmp_path, archive({**FILES, f"journal/{name}": b""}), "not valid")


def test_parts_that_are_left_out_or_twice_are_refused(node: Any, tmp_path: Path) -> None:
    files = with_journal(node)
    copy = files.pop("journal/copy.0")
    refused(folder_of(tmp_path), archive({**files, "journal/copy.1": copy[60:]}), "journal")
    twice = {**files, "journal/copy.0": copy, "journal/copy.1": copy}
    refused(folder_of(tmp_path), archive(twice), "journal")
