"""Requirements are removed if all goes well without them; else every file is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.build import writing
from casemate.cli.errors import CommandError
from casemate.cli.lock_trial import default_test
from casemate.cli.pruning import Pruning

TEXT = """\
# what we need
idna==3.10
Some_Package[extra]>=1 ; python_version > "3.8"  # why
six \\
    ==1.17.0
-r more.txt
requests
"""
LOCKS = (".cp311-x86_64.lock", ".cp312-x86_64.lock")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text(TEXT)
    (tmp_path / "requirements.txt.cp311-x86_64.lock").write_bytes(b"lock")
    return tmp_path


def test_lines_of_unused_packages_go_and_all_else_stays(root: Path) -> None:
    pruning = Pruning.of(root, "requirements.txt", {"some-package", "six", "not-there"})
    assert pruning.removed == ("six", "some-package")
    assert pruning.after == "# what we need\nidna==3.10\n-r more.txt\nrequests\n"
    assert (root / "requirements.txt").read_text() == TEXT


def test_what_is_locked_or_no_plain_list_is_left_to_its_tool(root: Path) -> None:
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "hashed.txt").write_text("six==1.17.0 --hash=sha256:aa\n")
    for name in ("pyproject.toml", "hashed.txt"):
        with pytest.raises(CommandError, match="Nothing needs: six"):
            Pruning.of(root, name, {"six"})
        assert Pruning.of(root, name, set()).removed == ()


def test_the_file_and_its_locks_are_taken_from_the_copy(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "requirements.txt").write_text(TEXT)
    pruning = Pruning.of(root, "requirements.txt", {"six"})
    pruning.write_to(copy)
    (copy / "requirements.txt.cp311-x86_64.lock").write_bytes(b"another")
    (copy / "requirements.txt.cp312-x86_64.lock").write_bytes(b"new")
    (copy / "other.txt.cp312-x86_64.lock").write_bytes(b"of another file")
    (root / "requirements.txt").chmod(0o600)
    pruning.take_from(copy, root)
    assert (root / "requirements.txt").read_text() == pruning.after
    assert (root / "requirements.txt").stat().st_mode & 0o777 == 0o600
    assert (root / "requirements.txt.cp311-x86_64.lock").read_bytes() == b"another"
    assert (root / "requirements.txt.cp312-x86_64.lock").read_bytes() == b"new"
    left = {path.name for path in root.iterdir() if path.is_file()}
    assert left == {f"requirements.txt{end}" for end in ("", *LOCKS)}


def test_a_disk_that_fails_leaves_the_file_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    pruning = Pruning.of(root, "requirements.txt", {"six"})
    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pruning.write_to(root)
    assert (root / "requirements.txt").read_text() == TEXT
    assert not list(root.glob(".*"))


def test_tests_are_looked_for(root: Path) -> None:
    assert default_test(root) is None
    (root / "test_app.py").write_text("")
    assert default_test(root) == "pytest -q"
