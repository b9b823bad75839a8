"""Requirements are removed if all goes well without them; else every file is as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from casemate.cli.errors import CommandError
from casemate.cli.pruning import Pruning, default_test

TEXT = """\
# what we need
idna==3.10
Some_Package[extra]>=1 ; python_version > "3.8"  # why
six \\
    ==1.17.0
-r more.txt
requests
"""


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


@pytest.mark.parametrize("broken", ["build", "test", "command", "interrupt"])
def test_whatever_fails_all_is_as_it_was(root: Path, broken: str) -> None:
    pruning = Pruning.of(root, "requirements.txt", {"six"})
    lock = root / "requirements.txt.cp311-x86_64.lock"

    def build() -> None:
        assert "six" not in (root / "requirements.txt").read_text()
        lock.write_bytes(b"another")
        (root / "requirements.txt.cp312-x86_64.lock").write_bytes(b"new")
        if broken == "build":
            raise CommandError("it does not build")
        if broken == "interrupt":
            raise KeyboardInterrupt

    test = {"test": f"{sys.executable} -c 'import six'", "command": "/no/such/command"}
    with pytest.raises((CommandError, KeyboardInterrupt)):
        pruning.try_out(build, test.get(broken, "true"), ["six"])
    assert (root / "requirements.txt").read_text() == TEXT
    assert lock.read_bytes() == b"lock"
    assert not (root / "requirements.txt.cp312-x86_64.lock").exists()


def test_what_is_removed_is_out_of_reach_although_it_is_installed(root: Path) -> None:
    pruning = Pruning.of(root, "requirements.txt", {"six"})
    for imported in ("msgspec", "msgspec.json", "msgspec.structs"):
        with pytest.raises(CommandError, match="it is to be removed"):
            pruning.try_out(lambda: None, f"{sys.executable} -c 'import {imported}'", ["msgspec"])
    pruning.try_out(lambda: None, f"{sys.executable} -c 'import json'", ["msgspec"])
    assert "six" not in (root / "requirements.txt").read_text()


def test_tests_are_looked_for(root: Path) -> None:
    assert default_test(root) is None
    (root / "test_app.py").write_text("")
    assert str(default_test(root)).endswith("-m pytest -q")
