"""Versions beside each other: one link says which is current, and nobody else chooses it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casemate.upgrade import versions as module
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.versions import CURRENT, FOLDER, Versions, hand_on, program


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """What was installed first, with one version beside it."""
    for path in (tmp_path / "first/bin", tmp_path / FOLDER / "2.0.0/bin"):
        path.mkdir(parents=True)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)
    return tmp_path / "first"


def test_the_link_is_switched_there_and_back(first) -> None:
    versions = Versions(first)
    assert versions.current() is None
    versions.switch(versions.environment("2.0.0"))
    assert versions.current() == versions.folder / "2.0.0"
    assert os.readlink(versions.folder / CURRENT) == "2.0.0"
    versions.switch(first)
    assert versions.current() == first
    inside = Versions(versions.folder / "2.0.0")
    assert inside.inside and inside.folder == versions.folder
    assert inside.current() == first


@pytest.mark.parametrize("place", ["", "2.0.0", "2.0.0/bin"])
def test_what_others_could_change_is_not_followed(first, place) -> None:
    versions = Versions(first)
    versions.switch(versions.environment("2.0.0"))
    (versions.folder / place).chmod(0o775)
    with pytest.raises(UpgradeError, match="would choose what runs here"):
        versions.current()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another")
@pytest.mark.parametrize("place", ["", "2.0.0", CURRENT])
def test_what_belongs_to_others_is_not_followed(first, place) -> None:
    versions = Versions(first)
    versions.switch(versions.environment("2.0.0"))
    os.chown(versions.folder / place, 12345, 12345, follow_symlinks=False)
    with pytest.raises(UpgradeError, match="belongs to uid 12345"):
        versions.current()


def test_a_link_to_nothing_and_what_is_no_link(first) -> None:
    versions = Versions(first)
    versions.switch(versions.environment("9.9.9"))
    with pytest.raises(UpgradeError, match="is not there"):
        versions.current()
    (versions.folder / CURRENT).unlink()
    (versions.folder / CURRENT).mkdir()
    with pytest.raises(UpgradeError, match="is not a link"):
        versions.current()


@pytest.mark.parametrize("name", ["", "..", "../x", "current", "1.0/../../x", "1.0\n", "x"])
def test_what_is_no_version_names_no_folder(first, name) -> None:
    with pytest.raises(UpgradeError, match="is not a version"):
        Versions(first).environment(name)


def test_one_upgrade_at_a_time(first) -> None:
    with (
        Versions(first).changing(),
        pytest.raises(UpgradeError, match="under way"),
        Versions(first).changing(),
    ):
        pass
    with Versions(first).changing():
        pass


def test_what_else_is_installed_beside_the_first_stays_as_it_is(first, monkeypatch) -> None:
    """Environments that share a folder, as in ~/venvs, ran the version of one of them."""
    other = first.parent / "other"
    other.mkdir()
    with Versions(first).changing():
        Versions(first).switch(Versions(first).environment("2.0.0"))
    assert Versions(first).current() is not None
    assert Versions(other).current() is None
    begun: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, command: begun.append(command))
    for prefix, handed_on in ((other, 0), (first, 1)):
        monkeypatch.setattr("sys.prefix", str(prefix))
        assert hand_on(["ls"]) == "" and len(begun) == handed_on
    with (
        pytest.raises(UpgradeError, match=f"has the versions of {first}"),
        Versions(other).changing(),
    ):
        pass
    with Versions(Versions(first).environment("2.0.0")).changing():
        pass
    first.rename(first.with_name("gone"))
    with Versions(other).changing():
        assert Versions(other).current() is not None, "who was first is gone"


def test_without_an_environment_of_its_own_nothing_is_made(first, monkeypatch) -> None:
    monkeypatch.setattr("sys.prefix", module.sys.base_prefix)
    with pytest.raises(UpgradeError, match="environment of its own"):
        Versions(first).make()


def test_older_versions_and_their_backups_are_removed(first) -> None:
    versions = Versions(first)
    for name in ("1.0.0", "3.0.0"):
        (versions.folder / name).mkdir()
    for name in ("1.0.0", "3.0.0"):
        versions.backup_before(name).write_text("")
    versions.switch(versions.environment("3.0.0"))
    kept = [versions.folder / name for name in ("2.0.0", "3.0.0", "before-3.0.0.tar")]
    versions.remove_others(kept)
    assert {path.name for path in versions.folder.iterdir()} == {
        "2.0.0", "3.0.0", "before-3.0.0.tar", CURRENT,
    }  # fmt: skip


def test_who_starts_the_first_gets_the_current_one(first, monkeypatch) -> None:
    begun: list[list[str]] = []
    monkeypatch.setattr("sys.prefix", str(first))
    monkeypatch.setattr("os.execv", lambda _, command: begun.append(command))
    versions = Versions(first)
    assert hand_on(["ls"]) == "" and begun == []
    versions.switch(versions.environment("2.0.0"))
    assert hand_on(["ls"]) == ""
    assert begun == [program(versions.folder / "2.0.0", ["ls"])]
    # The current one goes no further, and neither does one that went back to the first.
    monkeypatch.setattr("sys.prefix", str(versions.folder / "2.0.0"))
    assert hand_on(["ls"]) == "" and len(begun) == 1
    monkeypatch.setattr("sys.prefix", str(first))
    versions.switch(first)
    assert hand_on(["ls"]) == "" and len(begun) == 1
    versions.switch(versions.environment("2.0.0"))
    versions.folder.chmod(0o777)
    assert "is not followed" in hand_on(["ls"]) and len(begun) == 1
