"""What commands make and delete below `.casemate` stays in the project, whoever made that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from casemate.cli.building import Workspace
from casemate.cli.commands import dev
from casemate.cli.errors import CommandError
from casemate.cli.own_folder import held, own_folder

MANIFEST = '[project]\nname = "p"\n[function.f]\nhandler = "app:handler"\nsource = "src"\n'


@pytest.mark.parametrize("named", [".casemate", ".casemate/dev"])
def test_a_folder_that_everybody_may_change_is_not_read(tmp_path: Path, named: str) -> None:
    """Whoever writes there would put code, keys and a node's data under who runs a command."""
    folder = tmp_path / ".casemate/dev"
    folder.mkdir(parents=True)
    (tmp_path / named).chmod(0o777)
    with pytest.raises(CommandError, match="has mode 0777") as refused:
        own_folder(tmp_path, PurePosixPath(".casemate/dev"))
    assert "chmod o-w" in str(refused.value.next_step)
    (tmp_path / named).chmod(0o775)  # as of a user whose group is their own
    assert own_folder(tmp_path, PurePosixPath(".casemate/dev")) == folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to others")
def test_a_folder_of_another_user_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / ".casemate"
    folder.mkdir()
    os.chown(folder, 4711, 4711)
    with pytest.raises(CommandError, match="belongs to uid 4711"):
        own_folder(tmp_path, PurePosixPath(".casemate/bundles"))
    os.chown(tmp_path, 4711, 4711)  # root works in a project of theirs
    assert own_folder(tmp_path, PurePosixPath(".casemate")) == folder


def linked(project: Path, outside: Path) -> None:
    (project / ".casemate").symlink_to(outside)


def linked_relatively(project: Path, outside: Path) -> None:
    (project / ".casemate").symlink_to(f"../{outside.name}")


def linked_within(project: Path, outside: Path) -> None:
    (project / ".casemate").mkdir()
    for name in ("dev", "bundles"):
        (project / ".casemate" / name).symlink_to(outside / name)


def no_folder(project: Path, _outside: Path) -> None:
    (project / ".casemate").write_text("a file")


@pytest.fixture(params=[linked, linked_relatively, linked_within, no_folder])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A stranger's project, whose folder of ours leads to another one."""
    outside, project = tmp_path / "outside", tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src/app.py").write_text("def handler(event, context):\n    return 1\n")
    (project / "casemate.toml").write_text(MANIFEST)
    for name in ("dev", "bundles"):
        (outside / name).mkdir(parents=True)
        (outside / name / "precious").write_text("kept")
    make: Callable[[Path, Path], None] = request.param
    make(project, outside)
    return project


def kept(project: Path) -> list[str]:
    outside = project.parent / "outside"
    return sorted(str(path.relative_to(outside)) for path in outside.rglob("*"))


BEFORE = ["bundles", "bundles/precious", "dev", "dev/precious"]


def test_dev_deletes_and_makes_nothing_elsewhere(project: Path, monkeypatch) -> None:
    monkeypatch.setattr(dev.subprocess, "Popen", lambda *_, **__: pytest.fail("a node started"))
    with pytest.raises(CommandError, match="expected a folder of the project"):
        dev.dev(manifest=project / "casemate.toml", port=0)
    assert kept(project) == BEFORE


def test_a_build_makes_nothing_elsewhere(project: Path) -> None:
    with pytest.raises(CommandError, match="expected a folder of the project"):
        list(Workspace(project / "casemate.toml", ()).build(None, relock=False))
    assert kept(project) == BEFORE


def test_the_folder_need_not_be_there(tmp_path: Path) -> None:
    below = PurePosixPath(".casemate/dev")
    assert own_folder(tmp_path, below) == tmp_path / below
    (tmp_path / below).mkdir(parents=True)
    assert own_folder(tmp_path, below) == tmp_path / below


def test_dev_begins_without_what_somebody_else_has_put_there(tmp_path: Path) -> None:
    data, key = tmp_path / "dev", tmp_path / "dev.key"
    data.mkdir()
    (data / "casemate.json").write_text("a node of which somebody else has the tokens")
    key.write_text("a key that somebody else knows")
    dev._remove(data, key)
    assert not any(tmp_path.iterdir())


def test_dev_starts_over_nothing_that_it_cannot_remove(tmp_path: Path, monkeypatch) -> None:
    data = tmp_path / "dev"
    data.mkdir()
    monkeypatch.setattr(dev.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(CommandError, match="cannot be removed"):
        dev._remove(data, tmp_path / "dev.key")


def test_a_second_dev_is_refused_and_leaves_the_data_of_the_first(cli, home: Path) -> None:
    (home / "src").mkdir()
    (home / "src/app.py").write_text("def handler(event, context):\n    return 1\n")
    (home / "casemate.toml").write_text(MANIFEST)
    precious = home / ".casemate/dev/precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("kept")
    # A process that was killed holds nothing.
    with held(home / ".casemate/dev.lock", CommandError("held")):
        pass
    with held(home / ".casemate/dev.lock", CommandError("held")):
        refused = cli("dev", "--port", "0")
    assert refused.code == 1 and "Another casemate dev runs" in refused.err
    assert precious.read_text() == "kept"


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "dev.lock").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(CommandError, match="cannot be written"),
        held(tmp_path / "dev.lock", CommandError("held")),
    ):
        pass
    assert not (tmp_path / "elsewhere").exists()
