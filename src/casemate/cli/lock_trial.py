"""An update of locks tried out on a copy of the project: built, tested, compared; the rest is kept.

The project itself is written to when all has gone well, and at no other time: whenever this
process ends, its files are as they were or as they are to be.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from casemate.cli.building import Workspace
from casemate.cli.bundle_sandbox import run_in_project
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.terminal import progress
from casemate.kernel.drafts import temporary_folder

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.model.function import FunctionSpec

TEST_SECONDS = 1800.0
MOST_SHOWN = 4000
MAX_FILES = 50_000
MAX_BYTES = 2 * 1024**3
"""What is copied of a project, at most."""
_LEFT_OUT = frozenset(
    (
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", ".casemate", "__pycache__"),
        *(".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ssh", ".aws"),
    )
)
_PYTHONS = ("python", "python3")
_COPIES = "casemate-trial-"


@contextmanager
def project_copy(root: Path) -> Iterator[Path]:
    """Lend a copy of a project, without histories, environments and files of secrets."""
    with temporary_folder(_COPIES) as folder:
        copy = folder / "project"
        _check_size(root)
        try:
            shutil.copytree(root, copy, symlinks=True, ignore=_ignored)
        except (OSError, shutil.Error) as error:
            raise CommandError(
                f"The project cannot be copied to try the update out: {error}.",
                next_step="See that all of it can be read.",
            ) from error
        folder.chmod(0o755)
        yield copy


def default_test(root: Path) -> str | None:
    """Return the command that runs a project's tests in the sandbox, where it has any."""
    has_tests = (root / "tests").is_dir() or any(root.glob("test_*.py"))
    return "pytest -q" if has_tests else None


def built_anew(manifest: Path, specs: Sequence[FunctionSpec]) -> list[BuiltBundle]:
    """Build the functions of the copy of a project, by the lock that is there."""
    workspace = Workspace(manifest, [spec.name for spec in specs])
    return list(workspace.build(None, relock=False))


def run_tests(copy: Path, built: BuiltBundle, test: str, change: str = "with the update") -> None:
    """Run a command of tests in the sandbox, in a copy of a project, with a bundle's packages.

    `change` says what is tried. Raises CommandError if it fails, UsageError for what the sandbox
    does not have.
    """
    arguments = arguments_of(test)
    _hand_over(copy)
    with progress(f"Running {test} for {built.manifest.function.name} in the sandbox"):
        finished = run_in_project(
            built,
            arguments,
            project=copy,
            site=_site(),
            paths=(built.manifest.function.source,),
            seconds=TEST_SECONDS,
        )
    if finished.status:
        said = f"{finished.output}\n{finished.errors}"[-MOST_SHOWN:]
        raise CommandError(
            f"The tests do not pass {change}; nothing is written.\n{said}",
            next_step="Look at what fails: they run in the sandbox, with the function's packages "
            "and nothing else.",
        )


def arguments_of(test: str) -> list[str]:
    """Return what Python is given to run a command of tests. Raises UsageError."""
    try:
        words = shlex.split(test)
    except ValueError as error:
        raise UsageError(f"--test cannot be read: {error}.") from error
    quiet = ["-p", "no:cacheprovider"]
    if words and Path(words[0]).name == "pytest":
        return ["-m", "pytest", *quiet, *words[1:]]
    if words[:1] == [sys.executable] or (words and words[0] in _PYTHONS):
        return [*words[1:], *(quiet if words[1:3] == ["-m", "pytest"] else ())]
    raise UsageError(
        f"{test!r} does not begin with `python` or `pytest`, and the sandbox has nothing else.",
        next_step='Such as --test "pytest -q tests", or --test "python -m unittest".',
    )


def _site() -> Path | None:
    """Return the folder of packages that has pytest: of the active environment, or of ours."""
    active = os.environ.get("VIRTUAL_ENV", "")
    roots = [Path(active)] if active else []
    found = [
        site
        for root in roots
        for site in sorted((root / "lib").glob("python3.*/site-packages"))
        if (site / "pytest").is_dir()
    ]
    if found:
        return found[-1]
    spec = find_spec("pytest")
    return Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None


def _ignored(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in _LEFT_OUT or name.startswith(".env")}


def _check_size(root: Path) -> None:
    files = size = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        files += len(names)
        for name in names:
            try:
                status = (Path(folder) / name).lstat()
            except OSError:
                continue
            size += status.st_size
        if files > MAX_FILES or size > MAX_BYTES:
            raise CommandError(
                f"The project has more than {MAX_FILES} files or {MAX_BYTES // 1024**3} GiB.",
                next_step="Keep what does not belong to it elsewhere.",
            )


def _hand_over(copy: Path) -> None:
    """Give a copy to the user that a step of the sandbox runs as."""
    from casemate.build.bubblewrap import SANDBOX_UID

    if os.geteuid() != 0:
        return
    for folder, folders, names in os.walk(copy):
        for path in (Path(folder), *(Path(folder) / name for name in (*folders, *names))):
            os.lchown(path, SANDBOX_UID, SANDBOX_UID)
