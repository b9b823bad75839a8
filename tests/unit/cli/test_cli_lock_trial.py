"""The copy on which an update is tried, and how tests are run there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.cli import lock_trial
from casemate.cli.errors import CommandError, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in (".git/config", ".env", ".env.local", ".venv/x", "src/app.py", "tests/test_a.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / "outside").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside")
    return root


def test_a_copy_has_no_history_and_no_secrets_and_follows_no_link(root: Path) -> None:
    with lock_trial.project_copy(root) as copy:
        found = {path.relative_to(copy).as_posix() for path in copy.rglob("*")}
        assert found == {"src", "src/app.py", "tests", "tests/test_a.py", "link"}
        assert (copy / "link").is_symlink()
        (copy / "src/app.py").write_text("changed")
        lock_trial._hand_over(copy)
    assert not copy.exists()
    assert (root / "src/app.py").read_text() == "src/app.py"
    assert (root.parent / "outside").stat().st_uid == os.getuid()


def test_a_project_that_is_too_large_is_not_copied(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("MAX_FILES", 1), ("MAX_BYTES", 10)):
        with monkeypatch.context() as patched:
            patched.setattr(lock_trial, name, most)
            with pytest.raises(CommandError, match="more than"), lock_trial.project_copy(root):
                pass


def test_what_cannot_be_copied_is_told(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(CommandError, match="cannot be copied"), lock_trial.project_copy(root):
        pass


def test_a_copy_of_one_that_was_killed_goes_with_the_next(root: Path, tmp_path: Path) -> None:
    """It is a whole project, and where others may look."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    program = (
        "import os, signal, sys; from pathlib import Path; from casemate.cli import lock_trial\n"
        "with lock_trial.project_copy(Path(sys.argv[1])):\n"
        "    sys.argv[2:] or os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(root)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert list(temporary.rglob("app.py"))
    subprocess.run([*command, "again"], env=environment, check=True)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("test", "arguments"),
    [
        ("pytest -q tests", ["-m", "pytest", "-p", "no:cacheprovider", "-q", "tests"]),
        ("python -m unittest", ["-m", "unittest"]),
        (f"{sys.executable} x.py 'a b'", ["x.py", "a b"]),
        ("python -m pytest", ["-m", "pytest", "-p", "no:cacheprovider"]),
    ],
)
def test_commands_of_tests(test: str, arguments: list[str]) -> None:
    assert lock_trial.arguments_of(test) == arguments


@pytest.mark.parametrize("test", ["", "make test", "sh -c 'pytest'", "'unclosed", "env python"])
def test_what_the_sandbox_does_not_have_is_refused(test: str) -> None:
    with pytest.raises(UsageError):
        lock_trial.arguments_of(test)


def test_tests_are_looked_for(root: Path, tmp_path: Path) -> None:
    assert lock_trial.default_test(root) == "pytest -q"
    assert lock_trial.default_test(tmp_path) is None
