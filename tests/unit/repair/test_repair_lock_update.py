"""What is written of updates, and when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.build.errors import RequirementsFileError
from casemate.model.errors import ConflictError
from casemate.repair import LockUpdate, Plan, write

PLAN = Plan(changes=(), uncleared=(), versions={})


def update(python: str, text: str = "flask==2\n") -> LockUpdate:
    lock = f"requirements.txt.cp{python.replace('.', '')}-x86_64.lock"
    return LockUpdate(
        requirements="requirements.txt",
        python=python,
        plan=PLAN,
        before={"requirements.txt": "flask==1\n", lock: "old"},
        after={"requirements.txt": text, lock: f"new {python}"},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("flask==1\n")
    for python in ("311", "313"):
        (tmp_path / f"requirements.txt.cp{python}-x86_64.lock").write_text("old")
    return tmp_path


def texts(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.iterdir()}


def test_locks_of_two_pythons_are_written_after_the_one_file_of_both(root: Path) -> None:
    written = write(root, [update("3.11"), update("3.13")])
    assert written[0] == "requirements.txt" and len(written) == 3
    assert set(texts(root).values()) == {"flask==2\n", "new 3.11", "new 3.13"}


def test_one_file_is_not_changed_in_two_ways(root: Path) -> None:
    before = texts(root)
    with pytest.raises(ConflictError, match="in two ways"):
        write(root, [update("3.11"), update("3.13", "flask==3\n")])
    assert texts(root) == before


@pytest.mark.parametrize("name", ["requirements.txt", "requirements.txt.cp311-x86_64.lock"])
def test_what_was_changed_or_made_a_link_meanwhile_stays(root: Path, name: str) -> None:
    (root / "outside").write_text((root / name).read_text())
    (root / name).unlink()
    (root / name).symlink_to(root / "outside")
    before = texts(root)
    with pytest.raises(ConflictError, match="changed meanwhile"):
        write(root, [update("3.11")])
    assert texts(root) == before


def test_a_folder_that_is_gone_is_told(root: Path) -> None:
    gone = update("3.11")
    for path in root.iterdir():
        path.unlink()
    with pytest.raises((ConflictError, RequirementsFileError)):
        write(root, [gone])
    assert write(root, []) == []
