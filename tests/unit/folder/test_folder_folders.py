"""Where a node keeps its data, and the key to it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import pytest

from casemate.folder.folders import Folders, default_master_key
from casemate.model.errors import CasemateError
from casemate.model.processes import GATEWAY_UID, MONITOR_UID, RECORDER_UID, VAULT_UID


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def every(folders: Folders) -> list[Path]:
    return [
        folders.data,
        folders.store,
        folders.projects,
        folders.bundles,
        folders.vault,
        folders.spool,
        folders.journal,
        folders.monitor,
    ]


def test_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "a" / "data")
    for umask in (0, 0o777 & ~0o700):
        before = os.umask(umask)
        try:
            folders.make(None, None, None)
        finally:
            os.umask(before)
        assert {mode(folder) for folder in every(folders)} == {0o700}


def test_folders_that_were_open_are_closed(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    folders.make(None, None, None)
    for folder in every(folders):
        folder.chmod(0o777)
    folders.make(None, None, None)
    assert not any(mode(folder) & 0o066 for folder in every(folders))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_folders_belong_to_the_gateway_and_the_vault_s_to_the_vault(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    for _ in range(2):
        folders.make(GATEWAY_UID, VAULT_UID, RECORDER_UID, MONITOR_UID)
        for folder in every(folders):
            owners = {folders.vault: VAULT_UID, folders.journal: RECORDER_UID}
            owners[folders.monitor] = MONITOR_UID
            owner = owners.get(folder, GATEWAY_UID)
            assert (folder.stat().st_uid, folder.stat().st_gid) == (owner, owner)
            assert not mode(folder) & 0o066
        # Nobody but the vault reads there, the gateway included.
        assert mode(folders.vault) == 0o700


@pytest.mark.parametrize("name", ["store", "data", "bundles", "vault", "spool"])
def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    """The gateway owns the data folder; the supervisor may be root when it makes folders."""
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o755)
    folders = Folders(tmp_path / "data")
    folders.data.mkdir()
    (folders.data / name).symlink_to(outside)
    with contextlib.suppress(CasemateError, OSError):
        folders.make(None, None, None)
    assert mode(outside) == 0o755


def test_nothing_outside_the_spool_is_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    folders = Folders(tmp_path / "data")
    folders.make(None, None, None)
    folders.spool.rmdir()
    folders.spool.symlink_to(outside)
    with contextlib.suppress(CasemateError, OSError):
        folders.clear_spool()
    assert (outside / "kept").exists()


def test_what_was_sent_when_a_gateway_ended_is_deleted(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    folders.make(None, None, None)
    (folders.spool / "upload").write_bytes(b"half")
    (folders.spool / "backup").mkdir()
    (folders.spool / "backup" / "part").write_bytes(b"x")
    (folders.bundles / "kept").write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    (folders.spool / "backup" / "link").symlink_to(outside)
    (folders.spool / "file-link").symlink_to(outside / "kept")
    folders.clear_spool()
    assert list(folders.spool.iterdir()) == []
    assert (folders.bundles / "kept").exists() and (outside / "kept").exists()


def test_the_journal_tells_when_it_was_written_last_also_before_anything_is_signed(
    tmp_path: Path,
) -> None:
    folders = Folders(tmp_path)
    assert folders.last_told() is None
    folders.journal.mkdir()
    for name, at in (("pending", 100.0), ("checkpoint", 90.0)):
        (folders.journal / name).touch()
        os.utime(folders.journal / name, (at, at))
        assert folders.last_told() == 100.0
    os.utime(folders.journal / "checkpoint", (110.0, 110.0))
    assert folders.last_told() == 110.0


# -- the master key ------------------------------------------------------------------------------


def key_file(data: Path) -> Path:
    scheme, _, path = default_master_key(data).partition(":")
    assert scheme == "file"
    return Path(path)


@pytest.mark.parametrize("root", [True, False])
def test_the_master_key_is_outside_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for data in (tmp_path / "data", Path("/var/lib/casemate"), tmp_path / "home" / "data"):
        path = key_file(data)
        assert path.is_absolute() and not path.is_relative_to(data)
        base = Path("/etc") if root else tmp_path / "home" / ".config"
        assert path.parent == base / "casemate" / "master-keys"


@pytest.mark.parametrize("root", [True, False])
def test_the_master_key_is_outside_any_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    data = Path("/etc/casemate") if root else tmp_path / "home"
    with contextlib.suppress(CasemateError):  # refusing it would do as well
        assert not key_file(data).is_relative_to(data)


def test_each_data_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    first, second = key_file(tmp_path / "a"), key_file(tmp_path / "b")
    assert first != second and first == key_file(tmp_path / "a")
    # The file's name does not tell where the data is.
    assert tmp_path.name not in first.name


@pytest.mark.parametrize("given", ["", "relative", "./x", "~/x"])
def test_a_config_home_that_is_not_absolute_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", given)
    assert key_file(Path("/d")).is_relative_to(tmp_path / ".config")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert key_file(Path("/d")).is_relative_to("/elsewhere/casemate")
