"""What a node is started with, and where it keeps its data."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.model.errors import CasemateError, ProtectionMissingError, UnavailableError
from casemate.node.host import listen, offered_interpreters
from casemate.node.options import (
    EGRESS_UID,
    GATEWAY_UID,
    RISKS,
    SANDBOX_UID,
    VAULT_UID,
    Folders,
    ServeOptions,
    default_master_key,
    is_loopback,
)


def options(*risks: str) -> ServeOptions:
    return ServeOptions(data=Path("d"), host="127.0.0.1", port=0, accepted_risks=risks)


def test_no_risk_is_accepted_unless_it_is_named() -> None:
    assert options().accepted_risks == ()
    for risk in RISKS:
        assert options(risk).accepted_risks == (risk,)


@pytest.mark.parametrize(
    "risk",
    ["", "all", "seccomp", "user namespaces", "Cgroups", "cgroups ", "landlock,cgroups", "*"],
)
def test_a_risk_that_nobody_can_accept_is_refused(risk: str) -> None:
    with pytest.raises(ProtectionMissingError) as refused:
        options("cgroups", risk)
    assert repr(risk) in refused.value.message
    assert all(known in refused.value.message for known in RISKS)
    assert refused.value.next_step


def test_seccomp_and_user_namespaces_are_no_choice() -> None:
    assert set(RISKS) == {"cgroups", "landlock", "plaintext", "shared-uid", "shared-files"}


# -- folders -------------------------------------------------------------------------------------


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
    ]


def test_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "a" / "data")
    for umask in (0, 0o777 & ~0o700):
        before = os.umask(umask)
        try:
            folders.make(None, None)
        finally:
            os.umask(before)
        assert {mode(folder) for folder in every(folders)} == {0o700}


def test_folders_that_were_open_are_closed(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    folders.make(None, None)
    for folder in every(folders):
        folder.chmod(0o777)
    folders.make(None, None)
    assert not any(mode(folder) & 0o066 for folder in every(folders))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_folders_belong_to_the_gateway_and_the_vault_s_to_the_vault(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    for _ in range(2):
        folders.make(GATEWAY_UID, VAULT_UID)
        for folder in every(folders):
            owner = VAULT_UID if folder == folders.vault else GATEWAY_UID
            assert (folder.stat().st_uid, folder.stat().st_gid) == (owner, owner)
            assert not mode(folder) & 0o066
        # Nobody but the vault reads there, the gateway included.
        assert mode(folders.vault) == 0o700


def test_the_processes_of_a_node_are_different_users() -> None:
    uids = (GATEWAY_UID, SANDBOX_UID, VAULT_UID, EGRESS_UID)
    assert len(set(uids)) == 4 and min(uids) > 60_000


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
        folders.make(None, None)
    assert mode(outside) == 0o755


def test_nothing_outside_the_spool_is_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    folders = Folders(tmp_path / "data")
    folders.make(None, None)
    folders.spool.rmdir()
    folders.spool.symlink_to(outside)
    with contextlib.suppress(CasemateError, OSError):
        folders.clear_spool()
    assert (outside / "kept").exists()


def test_what_was_sent_when_a_gateway_ended_is_deleted(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    folders.make(None, None)
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


# -- where it listens ----------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.255.254", "::1", "::1%lo"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "128.0.0.1",
        "126.255.255.255",
        "fe80::1%lo",
        "::2",
        "::ffff:10.0.0.1",
        "1.0.0.127",
    ],
)
def test_everything_else_is_not(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize(
    "address", ["", "localhost", "127.0.0.1.example.com", "127.1", "0177.0.0.1", "127.0.0.1:80"]
)
def test_what_is_no_address_is_not_taken_for_loopback(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        is_loopback(address)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=str(port)) as refused:
            listen("127.0.0.1", port)
    assert "--port" in (refused.value.next_step or "")


def test_a_host_that_is_none_is_named() -> None:
    with pytest.raises(UnavailableError, match="no such host"):
        listen("no such host", 0)


def test_an_interpreter_that_is_not_here_is_named() -> None:
    with pytest.raises(ProtectionMissingError, match=r"3\.99"):
        offered_interpreters(("3.99",))


def test_the_interpreters_offered_are_those_wanted() -> None:
    everything = offered_interpreters(())
    one = everything[0].minor
    assert [i.minor for i in offered_interpreters((one,))] == [one]


def test_the_supervisor_loads_nothing_that_speaks_to_clients() -> None:
    """It starts fast that way, and parses nothing that comes from outside."""
    code = (
        "import sys, casemate.node.serve\n"
        "print(sorted({'casemate.api', 'casemate.accounts', 'httpx2', 'starlette', 'httptools'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
