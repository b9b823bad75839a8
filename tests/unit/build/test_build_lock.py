"""Locks of vendored wheels: no network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.build import errors
from casemate.build.interpreters import Interpreter
from casemate.build.lock import Lock, lock, lock_path
from casemate.build.requirements import read_requirements
from casemate.build.uv_process import UvSession
from casemate.package_index import IndexUnavailableError

pytestmark = pytest.mark.sandbox
MakeWheel = Callable[..., Path]
OFFLINE = {"UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple"}


@pytest.fixture
def project(tmp_path: Path, make_wheel: MakeWheel) -> Path:
    root = tmp_path / "project"
    make_wheel(root / "wheels", "alpha", {"alpha.py": ""}, requires=["beta>=1"])
    make_wheel(root / "wheels", "beta", {"beta.py": ""})
    (root / "requirements.txt").write_text("alpha\n--find-links ./wheels\n--no-index\n")
    return root


class Locking:
    """Locks a project again and again, each time in a new work folder."""

    def __init__(self, root: Path, tmp_path: Path, interpreter: Interpreter) -> None:
        self.root, self.tmp_path, self.interpreter, self.runs = root, tmp_path, interpreter, 0

    def __call__(self, name: str = "requirements.txt", *, relock: bool = False) -> Lock:
        self.runs += 1
        work = self.tmp_path / f"work{self.runs}"
        work.mkdir(mode=0o700)
        session = UvSession(
            interpreter=self.interpreter,
            work=work,
            cache=self.tmp_path / "cache/uv",
            environ=OFFLINE,
        )
        made, self.warning = lock(
            read_requirements(self.root, name), self.root, session, relock=relock
        )
        return made


@pytest.fixture
def locking(project: Path, tmp_path: Path, interpreter: Interpreter) -> Locking:
    return Locking(project, tmp_path, interpreter)


def test_everything_is_pinned_with_hashes(locking: Locking, project: Path) -> None:
    made = locking()
    assert "alpha==1.0 \\\n    --hash=sha256:" in made.text
    assert "beta==1.0 \\\n    --hash=sha256:" in made.text
    assert made.text.count("--hash=sha256:") == 2
    assert "--find-links wheels\n" in made.text
    path = lock_path(project, "requirements.txt", locking.interpreter.minor)
    assert path.read_text() == made.text
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_lock_stays_until_the_requirements_change(
    locking: Locking, project: Path, make_wheel: MakeWheel
) -> None:
    first = locking()
    make_wheel(project / "wheels", "beta", {"beta.py": "new"}, version="2.0")
    assert locking() == first
    (project / "requirements.txt").write_text("# changed\nalpha\n-f wheels\n--no-index\n")
    assert "beta==2.0" in locking().text
    make_wheel(project / "wheels", "beta", {"beta.py": "newer"}, version="3.0")
    assert "beta==2.0" in locking().text
    assert "beta==3.0" in locking(relock=True).text


def test_a_locked_file_is_kept_as_it_is(locking: Locking, project: Path) -> None:
    text = "alpha==1.0 --hash=sha256:" + "0" * 64 + "\n"
    (project / "locked.txt").write_text(text)
    assert locking("locked.txt").text == text
    assert [p.name for p in project.iterdir() if p.name.endswith(".lock")] == []


@pytest.mark.parametrize("content", ["", "something else", "# casemate lock 1\n", "\xff"])
def test_a_foreign_lock_is_not_overwritten(locking: Locking, project: Path, content: str) -> None:
    path = lock_path(project, "requirements.txt", locking.interpreter.minor)
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(errors.RequirementsFileError, match=r"Remove it"):
        locking()
    assert path.read_bytes() == content.encode("latin-1")


def test_a_lock_that_is_a_link_is_not_followed(
    locking: Locking, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("keep")
    path = lock_path(project, "requirements.txt", locking.interpreter.minor)
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(errors.RequirementsFileError):
        locking()
    locking(relock=True)
    assert not path.is_symlink()
    assert (tmp_path / "outside").read_text() == "keep"


def test_a_weak_hash_in_a_lock_is_refused(locking: Locking, project: Path) -> None:
    locking()
    path = lock_path(project, "requirements.txt", locking.interpreter.minor)
    path.write_text(path.read_text() + "evil==1 --hash=md5:" + "0" * 32 + "\n")
    with pytest.raises(errors.UnhashedRequirementError):
        locking()


@pytest.mark.parametrize(
    ("requirement", "kind", "message"),
    [
        ("missing-package", errors.RequirementNotFoundError, "missing-package"),
        ("beta==7", errors.RequirementNotFoundError, "beta==7"),
        ("beta>1\nbeta<1", errors.RequirementConflictError, "beta"),
        ("onlysource", errors.SourceOnlyError, "onlysource==1.0 has no wheel"),
        ("oldwheel", errors.NoMatchingWheelError, "oldwheel==1.0 has wheels, but none"),
        ("beta==", errors.RequirementsFileError, "cannot be read"),
    ],
)
def test_failures_are_named_and_leave_no_lock(
    locking: Locking,
    project: Path,
    make_wheel: MakeWheel,
    requirement: str,
    kind: type[Exception],
    message: str,
) -> None:
    (project / "wheels/onlysource-1.0.tar.gz").write_bytes(b"would run setup.py")
    make_wheel(project / "wheels", "oldwheel", {"o.py": ""}, tag="cp38-cp38-manylinux_2_17_x86_64")
    (project / "requirements.txt").write_text(f"{requirement}\n-f wheels\n--no-index\n")
    with pytest.raises(kind, match=message) as caught:
        locking()
    assert str(project) not in str(caught.value)
    assert not list(project.glob("*.lock"))


def test_no_network_is_told_apart(locking: Locking, project: Path) -> None:
    (project / "requirements.txt").write_text("markdown\n")
    with pytest.raises(IndexUnavailableError) as caught:
        locking()
    assert caught.value.retryable


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(locking: Locking, project: Path) -> None:
    project.chmod(0o500)
    try:
        with pytest.raises(errors.RequirementsFileError, match="cannot be written"):
            locking()
    finally:
        project.chmod(0o700)


UV_LOCK = """version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "demo"
version = "0"
source = { virtual = "." }
"""


def test_uv_lock_is_translated_and_checked_against_its_project(
    locking: Locking, project: Path
) -> None:
    text = (
        '[project]\nname = "demo"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = %s\n'
    )
    (project / "pyproject.toml").write_text(text % "[]")
    (project / "uv.lock").write_text(UV_LOCK)
    assert locking("uv.lock").text == ""
    assert locking.warning is None
    (project / "pyproject.toml").write_text(text % "[\"requests; python_version < '3'\"]")
    with pytest.raises(errors.StaleLockError, match="uv lock"):
        locking("uv.lock")
