"""A version is tried before it is current: what its doctor and its check say decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from casemate.upgrade import rehearsal as module
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.rehearsal import rehearse, require_host, scratch

HOLDS = {"name": "bubblewrap", "holds": True, "detail": "0.8"}
LACKS = {"name": "landlock", "holds": False, "detail": "the kernel has none", "required": True}
OPTIONAL = {"name": "restoring", "holds": False, "detail": "no", "required": False}


def environment(folder: Path, told: Any, code: int = 0) -> Path:
    """Make what answers every command with the same document; its arguments are kept."""
    (folder / "bin").mkdir(parents=True)
    (folder / "told").write_text(told if isinstance(told, str) else json.dumps(told))
    python = folder / "bin/python"
    python.write_text(
        f'#!/bin/sh\necho "$@" >{folder}/asked\ncat {folder}/told\necho why >&2\nexit {code}\n'
    )
    python.chmod(0o755)
    return folder


@pytest.mark.parametrize(("new", "present", "refused"), [
    ([HOLDS, OPTIONAL], [], ""), ([LACKS], [LACKS], ""), ([LACKS], [HOLDS], "landlock"),
])  # fmt: skip
def test_what_is_missing_now_may_be_missing_then(tmp_path, new, present, refused) -> None:
    new_one = environment(tmp_path / "new", {"findings": new}, code=1)
    present_one = environment(tmp_path / "present", {"findings": present}, code=1)
    if not refused:
        require_host(new_one, present_one)
        return
    with pytest.raises(UpgradeError, match=refused):
        require_host(new_one, present_one)


@pytest.mark.parametrize("told", ["", "no", "[]", "{}", '{"findings": [1]}', '{"findings": 1}'])
def test_another_form_and_no_answer_are_refusals(tmp_path, told, monkeypatch) -> None:
    made = environment(tmp_path / "new", told, code=1)
    with pytest.raises(UpgradeError):
        require_host(made, made)
    monkeypatch.setattr(module, "restore", lambda *_: None)
    monkeypatch.setattr(module, "read_manifest", lambda _: None)
    with pytest.raises(UpgradeError):
        rehearse(tmp_path / "backup", tmp_path / "data", made, "file:/x")


def test_the_copy_is_read_by_that_version_and_is_gone_then(tmp_path, monkeypatch) -> None:
    restored: list[Path] = []
    monkeypatch.setattr(module, "restore", lambda _, data, _manifest: restored.append(data))
    monkeypatch.setattr(module, "read_manifest", lambda _: None)
    whole = environment(tmp_path / "whole", {"findings": []})
    rehearse(tmp_path / "backup", tmp_path / "data", whole, "file:/x")
    asked = (whole / "asked").read_text().split()
    assert asked[-5:] == ["--json", "--data", str(restored[0]), "--master-key", "file:/x"]
    assert restored[0] != tmp_path / "data"
    damaged = {"findings": [{"place": "store", "problem": "page 3 is not what was written"}]}
    other = environment(tmp_path / "other", damaged, code=1)
    with pytest.raises(UpgradeError, match="store: page 3"):
        rehearse(tmp_path / "backup", tmp_path / "data", other, "file:/x")
    assert not restored[0].parent.exists() and not restored[1].parent.exists()


def test_what_killed_runs_have_left_is_removed_and_what_is_another_nodes_is_not(tmp_path) -> None:
    left, others = tmp_path / ".data.upgrade-abc", tmp_path / ".data2.upgrade-abc"
    for folder in (left, others):
        folder.mkdir()
    with scratch(tmp_path / "data") as folder:
        assert not left.exists() and others.exists()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    with pytest.raises(UpgradeError, match="No copy"), scratch(tmp_path / "no/data"):
        pass
