"""Files that a process runs code of are found, and seen to be replaced, by real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.sandbox.layouts import Layout
from casemate.supervisor import mapped_files as module
from casemate.supervisor.mapped_files import LOOK_SECONDS, Changed, MappedFiles, identity, mapped

SLEEP = shutil.which("sleep") or "/bin/sleep"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A program of its own that runs."""
    path = tmp_path / "program"
    shutil.copy(SLEEP, path)
    with subprocess.Popen([path, "60"]) as process:
        deadline = time.monotonic() + 60
        # The program is mapped first, and its libraries once it runs.
        while "libc" not in (maps := Path(f"/proc/{process.pid}/maps").read_text()):
            assert time.monotonic() < deadline, maps
            time.sleep(0.01)
        yield path, process.pid
        process.kill()


def test_what_it_runs_with_is_found(program: tuple[Path, int]) -> None:
    path, pid = program
    there, replaced = mapped(pid)
    assert str(path) in there and replaced == set()
    assert any("libc" in one for one in there)


def test_what_was_replaced_before_the_first_look_is_found(program: tuple[Path, int]) -> None:
    path, pid = program
    new = path.with_name("new")
    shutil.copy(SLEEP, new)
    new.rename(path)
    _there, replaced = mapped(pid)
    assert replaced == {str(path)}
    path.unlink()
    assert mapped(pid)[1] == set(), "what the host has no more is the sandbox's own"


@pytest.mark.parametrize("change", ["rename", "write", "touch", "remove"])
def test_each_way_of_replacing_is_another_file(tmp_path: Path, change: str) -> None:
    path = tmp_path / "lib.so"
    path.write_text("one")
    before = identity(str(path))
    assert identity(str(path)) == before
    if change == "rename":
        (tmp_path / "new").write_text("one")
        (tmp_path / "new").rename(path)
    elif change == "write":
        path.write_text("two!")
    elif change == "touch":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    assert identity(str(path)) != before


class Played:
    """A base zygote whose files are told by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[str, Any] = {"/a": 1, "/b": 1}
        self.replaced: set[str] = set()
        self.read: list[int] = []
        self.fails = False
        monkeypatch.setattr(module, "identity", self.files.get)
        monkeypatch.setattr(module, "interpreter_of", lambda pid: pid)
        monkeypatch.setattr(module, "mapped", self.mapped)

    def mapped(self, pid: int) -> tuple[set[str], set[str]]:
        self.read.append(pid)
        if self.fails:
            raise ProcessLookupError
        return set(self.files), self.replaced


def layout(pid: int = 1) -> Layout:
    base = SimpleNamespace(ready=True, process=SimpleNamespace(pid=pid))
    return Layout(("3.12", "0"), base)  # type: ignore[arg-type]


def look(files: MappedFiles, layouts: list[Layout], now: float) -> list[Changed]:
    """Look, and return what comes of it."""
    assert files.look(layouts, now) == []
    if files._thread is None:
        return []
    files._thread.join(5)
    return files.look(layouts, now)


def test_it_is_told_once_and_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    played, files = Played(monkeypatch), MappedFiles()
    one, other = layout(1), layout(2)
    assert look(files, [one, other], 0.0) == []
    played.files["/b"] = 2
    assert look(files, [one, other], 1.0) == [], "it is looked at every minute"
    found = look(files, [one, other], LOOK_SECONDS)
    assert found == [Changed(one, {"/b"}), Changed(other, {"/b"})]
    one.outdated = other.outdated = True
    successor = layout(3)
    assert look(files, [one, other, successor], 2 * LOOK_SECONDS) == []
    assert look(files, [successor], 3 * LOOK_SECONDS) == []
    assert played.read == [1, 2, 3], "what it runs with is read once of each"


def test_what_is_replaced_before_the_first_look_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    played, files = Played(monkeypatch), MappedFiles()
    played.replaced = {"/a"}
    one = layout()
    assert look(files, [one], 0.0) == [Changed(one, {"/a"})]


def test_one_that_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    played, files = Played(monkeypatch), MappedFiles()
    played.fails = True
    assert look(files, [layout()], 0.0) == []
    played.fails = False
    assert look(files, [layout()], LOOK_SECONDS) == []


def test_a_disk_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    Played(monkeypatch)
    files = MappedFiles()
    goes_on: list[bool] = []

    def slow(_: int) -> tuple[set[str], set[str]]:
        while not goes_on:
            time.sleep(0.01)
        return set(), set()

    monkeypatch.setattr(module, "mapped", slow)
    one = layout()
    begun = time.monotonic()
    for minute in range(5):
        assert files.look([one], minute * LOOK_SECONDS) == []
    assert time.monotonic() - begun < 30
    goes_on.append(True)
