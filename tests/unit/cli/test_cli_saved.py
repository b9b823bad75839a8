"""Whether files of a project were saved: by watching folders of its own, and no others."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from casemate.cli import saved
from casemate.cli.errors import CommandError
from casemate.cli.saved import folders_of


def told(saves: Iterator[bool], times: int = 25) -> bool:
    return any(next(saves) for _ in range(times))


def test_what_is_saved_while_it_is_deployed_first_is_deployed_again(tmp_path: Path) -> None:
    saves = saved.saves(tmp_path)
    assert next(saves) is False
    (tmp_path / "app.py").write_text("saved while the first deploy reads")
    (tmp_path / ".casemate").mkdir()
    assert any(next(saves) for _ in range(20))
    (tmp_path / ".casemate/own").write_text("of ours")
    assert not any(next(saves) for _ in range(3))


def test_what_is_saved_in_a_new_folder_is_told(tmp_path: Path) -> None:
    saves = saved.saves(tmp_path)
    next(saves)
    (tmp_path / "package").mkdir()
    assert told(saves)
    assert next(saves) in (True, False)
    while next(saves):
        pass
    (tmp_path / "package/app.py").write_text("new")
    assert told(saves)
    (tmp_path / "package/deep/deeper").mkdir(parents=True)
    assert told(saves)
    while next(saves):
        pass
    (tmp_path / "package/deep/deeper/x.py").write_text("new")
    assert told(saves)


@pytest.mark.parametrize("to", ["/", "/proc", "..", "../outside", "."])
def test_no_link_is_followed(tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    (project / "docs").mkdir(parents=True)
    (outside / "many").mkdir(parents=True)
    (project / "docs/link").symlink_to(to if to.startswith("/") else project / to)
    assert folders_of(project) == (project, project / "docs")
    real, given = watchfiles.watch, []

    def watch(*paths: Path, **how: Any) -> Iterator[Any]:
        given.append((paths, how["recursive"]))
        return real(*paths, **how)

    monkeypatch.setattr(watchfiles, "watch", watch)
    saves = saved.saves(project)
    next(saves)
    assert given == [((project, project / "docs"), False)]
    (outside / "many/file").write_text("of somebody else")
    assert not told(saves, 3)


def test_folders_to_which_links_lead_by_many_ways_are_watched_once(tmp_path: Path) -> None:
    for number in range(28):
        (tmp_path / f"f{number}").mkdir()
        if number:
            for name in ("a", "b"):
                (tmp_path / f"f{number - 1}" / name).symlink_to(f"../f{number}")
    assert len(folders_of(tmp_path)) == 29
    next(saved.saves(tmp_path))


def test_so_many_folders_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(saved, "MAX_FOLDERS", 3)
    for name in ("a/deep", "b", "c", "node_modules/x"):
        (tmp_path / name).mkdir(parents=True)
    assert folders_of(tmp_path) == (tmp_path, tmp_path / "a", tmp_path / "b")
    saves = saved.saves(tmp_path)
    next(saves)
    assert "3 of them are watched" in capsys.readouterr().err
    (tmp_path / "b/x.py").write_text("new")
    assert told(saves)


def test_folders_that_come_and_go_meanwhile_are_looked_for_again(tmp_path: Path) -> None:
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            (tmp_path / "a").mkdir(exist_ok=True)
            (tmp_path / "a").rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        saves = saved.saves(tmp_path)
        for _ in range(5):
            next(saves)
    finally:
        ended.set()
        thread.join()


def test_a_folder_that_cannot_be_watched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watch(*_: object, **__: object) -> Iterator[set[object]]:
        raise OSError(28, os.strerror(28))
        yield set()

    monkeypatch.setattr("watchfiles.watch", watch)
    with pytest.raises(CommandError, match="cannot be watched"):
        next(saved.saves(tmp_path))
