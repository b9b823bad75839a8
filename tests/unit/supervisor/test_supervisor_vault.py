"""Whether the master key of a vault that has ended can be had once more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.folder.folders import Folders
from casemate.model.errors import UnavailableError
from casemate.supervisor import vault as module
from casemate.supervisor.vault import NodeVault
from casemate.vault.errors import WrongMasterKeyError


@pytest.fixture
def vault_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(NodeVault, "_open", lambda *_, **__: None)
    return lambda source: NodeVault(Folders(tmp_path), source, (), root=False)


@pytest.mark.parametrize(
    "source",
    [
        None,
        "file:/etc/key",
        "passphrase-file:/etc/phrase",
        "command:/usr/bin/wrap",
        "transit:/etc/transit.toml",
        "kms:/etc/kms.toml",
    ],
)
def test_it_can_be_had_from_what_stays(vault_with: Any, source: str | None) -> None:
    """A key service gives it again: the node went on without a vault for no reason, and ended."""
    assert vault_with(source).key_problem() == ""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have a vault be opened by one source alone; return which were tried."""

    def by(right: str) -> list[str]:
        tried: list[str] = []

        def start(_folder: Path, source: str, **_: Any) -> Any:
            tried.append(source)
            if source != right:
                raise WrongMasterKeyError("another one")
            return SimpleNamespace(memory_locked=True, close=lambda: None)

        monkeypatch.setattr(module, "start_vault", start)
        return tried

    return by


def node_vault(folder: Path, source: str) -> NodeVault:
    folders = Folders(folder)
    folders.make(None, None, None)
    return NodeVault(folders, source, (), root=False)


def test_one_that_ends_after_the_master_key_was_changed_is_opened_with_the_new(
    tmp_path: Path, opened: Any
) -> None:
    """Before, the node answered nobody until it was started again by hand."""
    opened("file:/old")
    vault = node_vault(tmp_path, "file:/old")
    assert vault.handover_problem() == ""
    for source in ("nothing that is one", "command:/bin/sh", "file:/new", "file:/newer"):
        vault.may_be_opened_by(source)
    tried = opened("file:/new")
    vault.restart()
    assert tried == ["file:/old", "file:/newer", "file:/new"]
    assert vault.key_file == "/new"
    assert "--master-key file:/newer" in vault.handover_problem()


def test_one_whose_master_key_was_not_changed_after_all_is_opened_as_before(
    tmp_path: Path, opened: Any
) -> None:
    tried = opened("file:/old")
    vault = node_vault(tmp_path, "file:/old")
    vault.may_be_opened_by("file:/new")
    vault.restart()
    assert tried == ["file:/old", "file:/old"] and vault.key_file == "/old"
    opened("file:/lost")
    with pytest.raises(WrongMasterKeyError):
        vault.restart()
    assert vault.key_file == "/old"


def test_only_so_many_sources_are_kept(tmp_path: Path, opened: Any) -> None:
    opened("file:/old")
    vault = node_vault(tmp_path, "file:/old")
    for number in range(100):
        vault.may_be_opened_by(f"file:/{number}")
    tried = opened("file:/old")
    vault.restart()
    opened("file:/1")
    with pytest.raises(WrongMasterKeyError):
        vault.restart()
    assert tried == ["file:/old"]
    assert len(vault._changed) == module.MAX_CHANGED


def test_what_is_read_once_is_not_asked_for_again(tmp_path: Path, opened: Any) -> None:
    opened("passphrase")
    vault = node_vault(tmp_path, "passphrase")
    vault.may_be_opened_by("fd:3")
    with pytest.raises(UnavailableError, match="can be read only once"):
        vault.restart()
    vault.may_be_opened_by("file:/new")
    assert vault.key_problem() == ""
    tried = opened("file:/new")
    vault.restart()
    assert tried == ["file:/new"]


@pytest.mark.parametrize("source", ["env:KEY", "passphrase", "fd:3"])
def test_it_cannot_from_what_is_gone_once_it_was_read(vault_with: Any, source: str) -> None:
    assert "can be read only once" in vault_with(source).key_problem()
