"""Files that are replaced together: each is old or new, whenever the process ends."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.build import writing
from casemate.build.writing import write_together

NAMES = ("a", "b", "c.lock")


def killed_at(step: int, root: Path) -> bool:
    """Write in a process of its own that is killed at a step; tell whether it came to its end."""
    child = os.fork()
    if child == 0:
        left = step

        def counted(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **named)

            return call

        steps = ((os, "fsync"), (os, "fchmod"), (Path, "replace"), (writing, "sync_folder"))
        for module, name in steps:
            setattr(module, name, counted(getattr(module, name)))
        write_together({root / name: "new " * 20_000 for name in NAMES}, like=root / "a")
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_a_kill_at_any_step_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    old, new = "old " * 20_000, "new " * 20_000
    counts = set()
    for step in range(1, 40):
        for name in NAMES:
            (tmp_path / name).write_text(old)
        whole = killed_at(step, tmp_path)
        found = [(tmp_path / name).read_text() for name in NAMES]
        changed = sum(text == new for text in found)
        assert found == [new] * changed + [old] * (3 - changed)  # in the order given
        counts.add(changed)
        if whole:
            break
    assert whole
    assert counts == {0, 1, 2, 3}


def test_what_fails_replaces_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("old")
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_together({tmp_path / "a": "new", tmp_path / "b": "new"}, like=tmp_path / "a")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("keep")
    (tmp_path / "lock").symlink_to("outside")
    write_together({tmp_path / "lock": "new"}, like=tmp_path)
    assert not (tmp_path / "lock").is_symlink()
    assert (tmp_path / "outside").read_text() == "keep"


def test_what_a_killed_writer_has_left_goes_with_the_next_one(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text("old")
    assert not killed_at(2, tmp_path)
    left = list(tmp_path.glob(".casemate-new-*"))
    assert left
    write_together({tmp_path / "a": "new"}, like=tmp_path / "a")
    assert list(tmp_path.glob(".casemate-new-*")) == left  # may be about to be locked
    for path in left:
        os.utime(path, (1.0, 1.0))
    write_together({tmp_path / "a": "newer"}, like=tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)


def test_what_somebody_writes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    kept = tmp_path / "outside/kept"
    kept.write_text("keep")
    held = tmp_path / ".casemate-new-aaaaaaaa"
    mine = [tmp_path / name for name in (".casemate-new-notes.txt", ".casemate-packages")]
    for path in (held, *mine):
        path.write_text("keep")
        os.utime(path, (1.0, 1.0))
    os.utime(kept, (1.0, 1.0))
    (tmp_path / ".casemate-new-bbbbbbbb").symlink_to(kept)
    os.mkfifo(tmp_path / ".casemate-new-cccccccc")
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_together({tmp_path / "a": "new"}, like=tmp_path)
    assert held.exists() and all(path.exists() for path in mine)
    assert kept.read_text() == "keep" and (tmp_path / ".casemate-new-bbbbbbbb").is_symlink()
    assert (tmp_path / ".casemate-new-cccccccc").exists()
    assert (tmp_path / "a").read_text() == "new"
