"""The store's folder: rights, lock, mark of an unclean end."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from store_samples import KEY, contents, deploy

from casemate.store import StoreError, StoreForeignError, StoreLockedError
from casemate.store.sqlite.files import StoreFolder, create_private
from casemate.store.sqlite.store import SqliteStore


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "s"
    before = os.umask(0)
    try:
        store = SqliteStore.open(folder, key=KEY)
        asyncio.run(deploy(store))
        assert mode(folder) == 0o700
        names = {file.name for file in folder.iterdir()}
        assert {"records.db", "records.db-wal", "records.db-shm", "owner.pid"} <= names
        assert {mode(file) for file in folder.iterdir()} == {0o600}
        asyncio.run(store.close())
    finally:
        os.umask(before)


def test_rights_that_were_widened_are_narrowed_again(tmp_path: Path) -> None:
    asyncio.run(SqliteStore.open(tmp_path / "s", key=KEY).close())
    (tmp_path / "s").chmod(0o755)
    (tmp_path / "s" / "records.db").chmod(0o644)
    asyncio.run(SqliteStore.open(tmp_path / "s", key=KEY).close())
    assert mode(tmp_path / "s") == 0o700
    assert mode(tmp_path / "s" / "records.db") == 0o600


def test_a_second_store_is_refused_with_the_lock_and_the_pid(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "s", key=KEY)
    with pytest.raises(StoreLockedError) as caught:
        SqliteStore.open(tmp_path / "s", key=KEY)
    assert str(tmp_path / "s") in str(caught.value)
    assert str(os.getpid()) in str(caught.value)
    assert "Stop that node" in str(caught.value)
    assert asyncio.run(deploy(store)) == 1
    asyncio.run(store.close())
    asyncio.run(SqliteStore.open(tmp_path / "s", key=KEY).close())


def test_another_process_is_refused_and_deleting_files_does_not_void_the_lock(
    tmp_path: Path,
) -> None:
    store = SqliteStore.open(tmp_path / "s", key=KEY)
    (tmp_path / "s" / "owner.pid").unlink()
    code = (
        "import sys, pathlib\n"
        "from casemate.store.sqlite.store import SqliteStore\n"
        "SqliteStore.open(pathlib.Path(sys.argv[1]), key=bytes(32))\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert other.returncode != 0
    assert "StoreLockedError" in other.stderr
    asyncio.run(store.close())


def test_close_tells_a_clean_end_and_a_kill_does_not(tmp_path: Path) -> None:
    folder = StoreFolder.acquire(tmp_path / "s")
    assert not folder.unclean
    assert (tmp_path / "s" / "owner.pid").read_text() == f"{os.getpid()}\n"
    folder.release(clean=False)
    folder = StoreFolder.acquire(tmp_path / "s")
    assert folder.unclean
    folder.release(clean=True)
    folder = StoreFolder.acquire(tmp_path / "s")
    assert not folder.unclean
    folder.release(clean=True)


def test_a_file_in_the_folders_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"mine")
    with pytest.raises(StoreForeignError, match="needs a folder"):
        SqliteStore.open(tmp_path / "s", key=KEY)
    assert (tmp_path / "s").read_bytes() == b"mine"


def test_a_folder_in_use_for_other_things_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    tmp_path.chmod(0o755)
    with pytest.raises(StoreForeignError, match=r"photo\.jpg"):
        SqliteStore.open(tmp_path, key=KEY)
    assert contents(tmp_path) == {"photo.jpg": b"mine"}
    assert mode(tmp_path) == 0o755


def test_links_are_not_followed(tmp_path: Path) -> None:
    asyncio.run(SqliteStore.open(tmp_path / "real", key=KEY).close())
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreError, match="not a link"):
        SqliteStore.open(tmp_path / "link", key=KEY)
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    victim.chmod(0o644)
    for name in ("owner.pid", "records.db"):
        file = tmp_path / "real" / name
        file.unlink()
        file.symlink_to(victim)
        with pytest.raises(StoreError):
            SqliteStore.open(tmp_path / "real", key=KEY)
        assert victim.read_bytes() == b""
        assert mode(victim) == 0o644
        file.unlink()


def test_what_is_not_a_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreForeignError, match="not a regular file"):
        create_private(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    os.chown(tmp_path / "s", 65534, 65534)
    with pytest.raises(StoreForeignError, match="belongs to user 65534"):
        SqliteStore.open(tmp_path / "s", key=KEY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ro").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore.open(tmp_path / "ro" / "s", key=KEY)
