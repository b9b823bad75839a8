"""The manifest that a command works on: the nearest one, unless another user has put it there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casemate.cli.errors import UsageError
from casemate.cli.names import find_manifest, require_manifest, resolve
from casemate.cli.resources import project_or_here

MANIFEST = '[project]\nname = "theirs"\n[function.f]\nhandler = "app:handler"\n'
ROOT, MINE, THEIRS = 0, 64_996, 64_995
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="files of others are made by root alone")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder such as /tmp, with a manifest that somebody has put there."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "casemate.toml").write_text(MANIFEST)
    return shared


def given(path: Path, owner: int) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, owner, owner)
    return path


@as_root
def test_another_users_manifest_above_is_not_taken(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(shared / "casemate.toml", THEIRS, THEIRS)
    for folder in (given(shared / "mine", MINE), shared, given(shared / "root/a/b", ROOT)):
        monkeypatch.chdir(folder)
        for ask in (lambda: resolve("f"), lambda: require_manifest(None), project_or_here):
            with pytest.raises(UsageError, match="is another user's"):
                ask() if ask is not project_or_here else project_or_here(None)
        assert require_manifest(shared) == shared / "casemate.toml"  # it is named


@as_root
@pytest.mark.parametrize("owner", [ROOT, MINE, THEIRS])
def test_a_project_that_is_of_who_has_the_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int
) -> None:
    """As in a container, or where root looks at what somebody has made."""
    deep = given(given(tmp_path / "project", owner) / "src", owner)
    (tmp_path / "project/casemate.toml").write_text(MANIFEST)
    os.chown(tmp_path / "project/casemate.toml", owner, owner)
    for folder in (deep, deep.parent):
        monkeypatch.chdir(folder)
        assert resolve("f").project == "theirs"


@as_root
def test_a_project_that_several_people_work_on_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = given(tmp_path / "project", MINE)
    folder.chmod(0o2775)
    (folder / "casemate.toml").write_text(MANIFEST)
    os.chown(folder / "casemate.toml", THEIRS, THEIRS)
    monkeypatch.chdir(folder)
    assert resolve("f").project == "theirs"


def test_ones_own_is_taken_wherever_it_is(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared / "a/b").mkdir(parents=True)
    monkeypatch.chdir(shared / "a/b")
    assert find_manifest() == shared / "casemate.toml"


@as_root
@pytest.mark.parametrize("owner", [ROOT, MINE])
@pytest.mark.parametrize(
    ("holder", "mode"), [(THEIRS, 0o755), (THEIRS, 0o1777), (ROOT, 0o777), (MINE, 0o777)]
)
def test_a_manifest_above_is_not_taken_from_a_folder_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, holder: int, mode: int
) -> None:
    """Who may write there can move a manifest of one's own there, and has the code beside it."""
    folder = given(tmp_path / "above", holder)
    folder.chmod(mode)
    (folder / "casemate.toml").write_text(MANIFEST)
    os.chown(folder / "casemate.toml", owner, owner)
    monkeypatch.chdir(given(folder / "mine", MINE))
    with pytest.raises(UsageError, match="where others may write"):
        resolve("f")
