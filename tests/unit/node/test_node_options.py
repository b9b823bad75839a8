"""What a node is started with, and where it keeps its data."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from casemate.model.errors import ProtectionMissingError, UnavailableError
from casemate.node.options import RISKS, Folders, ServeOptions
from casemate.node.serve import listen, offered_interpreters


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
    assert set(RISKS) == {"cgroups", "landlock"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_private_but_for_bundles(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        folders = Folders(tmp_path / "a" / "data")
        folders.make(None)
        folders.make(None)
    finally:
        os.umask(umask)
    assert mode(folders.data) == mode(folders.store) == mode(folders.spool) == 0o700
    assert mode(folders.bundles) == 0o755


def test_folders_belong_to_the_gateway(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    folders = Folders(tmp_path / "data")
    folders.make(64_800)
    for folder in (folders.data, folders.store, folders.bundles, folders.spool):
        assert (folder.stat().st_uid, folder.stat().st_gid) == (64_800, 64_800)


def test_uploads_left_behind_are_deleted(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    folders.make(None)
    (folders.spool / "upload").write_bytes(b"half")
    (folders.bundles / "kept").write_bytes(b"x")
    folders.clear_spool()
    assert list(folders.spool.iterdir()) == []
    assert (folders.bundles / "kept").exists()


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
