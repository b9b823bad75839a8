"""Whether the master key of a vault that has ended can be had once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from casemate.folder.folders import Folders
from casemate.supervisor.vault import NodeVault


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


@pytest.mark.parametrize("source", ["env:KEY", "passphrase", "fd:3"])
def test_it_cannot_from_what_is_gone_once_it_was_read(vault_with: Any, source: str) -> None:
    assert "can be read only once" in vault_with(source).key_problem()
