"""Installs a lock's wheels with uv, inside the sandbox, and reduces them to what runs.

Nothing of a package is ever executed: only wheels are taken (`--only-binary :all:`), each checked
against the lock (`--require-hashes`) and looked into before it is unpacked. Left out of the result,
and said: what would run code when Python starts (`.pth` files, `sitecustomize`, `usercustomize`;
the runner does not process them either), data outside of packages, and console scripts (`bin/`, no
function starts a program; most packages have some, so that is no warning). Left out without a word:
compiled files and uv's notes.
"""

from __future__ import annotations

import csv
import email.parser
import email.policy
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from casemate.build.errors import DependencyError, SourceTreeError
from casemate.build.indexes import BuildIndexes
from casemate.build.limits import INSTALL_TIMEOUT, MAX_SOURCE_FILES
from casemate.build.lock import Lock
from casemate.build.placing import place_inputs
from casemate.build.tree import check_collisions, normalise_modes, remove_tree, walk_files
from casemate.build.uv_process import TARGET, UvSession
from casemate.model.bundle import LockedPackage

_MAX_METADATA = 4 * 1024 * 1024
_START_UP = ("sitecustomize", "usercustomize")
_SYSTEM_FOLDERS = frozenset(
    (
        "bin",
        "doc",
        "etc",
        "include",
        "lib",
        "lib64",
        "libexec",
        "man",
        "sbin",
        "share",
        "usr",
        "var",
    )
)
"""Where wheels put data for the system (`NAME.data/data`), unless a package is called so."""
_UV_NOTES = {"uv_cache.json", "uv_build.json"}


class Reduced(NamedTuple):
    """What an installed tree is, once only what runs is left of it."""

    packages: tuple[LockedPackage, ...]
    warnings: tuple[str, ...]
    scripts: tuple[str, ...]
    """Names of the console scripts that were left out."""


def install(lock: Lock, project_root: Path, session: UvSession) -> tuple[Path, Reduced]:
    """Install a lock into `<work>/deps`; return that folder, and what it is.

    Raises a DependencyError or IndexUnavailableError.
    """
    name = "pylock.toml" if lock.pylock else "casemate-requirements.txt"
    given = session.work / "install"
    target = session.work / "deps"
    target.mkdir(mode=0o755)
    indexes = BuildIndexes(session, project_root)
    with indexes.serving(
        [lock.text], before=lock.text if lock.own else "", aged=not lock.own
    ) as at:
        text = at.inside(lock.text)
        place_inputs({f"{lock.folder}/{name}": text}, lock.vendored, project_root, given)
        indexes.inspect_vendored(lock.text, given, lock.vendored)
        session.run(
            [
                *("pip", "install", "-r", name, "--target", TARGET, "--quiet"),
                *("--require-hashes", "--only-binary", ":all:"),
            ],
            given=given,
            folder=lock.folder,
            target=target,
            timeout=INSTALL_TIMEOUT,
            served=at,
        )
    try:
        reduced = reduce_tree(target)
    except SourceTreeError as error:
        raise DependencyError(
            f"A dependency cannot become part of a bundle. {error.message}",
            next_step="Use another version or package.",
        ) from error
    normalise_modes(target)
    return target, reduced


def reduce_tree(target: Path) -> Reduced:
    """Remove what does not run from an installed tree; return what it is then.

    Raises SourceTreeError for links and names that a bundle may not hold.
    """
    warnings: list[str] = []
    paths = sorted(path for path, _ in walk_files(target, max_files=MAX_SOURCE_FILES))
    scripts = _take(paths, lambda path: path.startswith("bin/"))
    hooks = _take(paths, _starts_with_python)
    if hooks:
        warnings.append(f"Left out start-up file(s), which would run code: {_listed(hooks)}.")
    rest = _take(paths, _is_residue)
    data = _take(paths, _outside_of_packages(paths))
    if data:
        warnings.append(f"Left out {len(data)} file(s) outside of packages: {_listed(data)}.")
    for path in (*scripts, *hooks, *data, *rest):
        (target / path).unlink()
    check_collisions(paths)
    present = set(paths)
    for path in paths:
        if re.fullmatch(r"[^/]+\.dist-info/RECORD", path):
            _rewrite_record(target / path, present)
    _remove_empty(target)
    names = tuple(path.removeprefix("bin/") for path in scripts)
    return Reduced(_packages(target, paths), tuple(warnings), names)


def _take(paths: list[str], chosen: Callable[[str], bool]) -> list[str]:
    """Remove the chosen paths from the list and return them."""
    taken = [path for path in paths if chosen(path)]
    paths[:] = [path for path in paths if not chosen(path)]
    return taken


def _starts_with_python(path: str) -> bool:
    """Tell what Python runs when it starts, for being there: `.pth` files and two modules."""
    top = path.split("/", maxsplit=1)[0]
    if "/" not in path and top.endswith(".pth"):
        return True
    return top.split(".")[0] in _START_UP


def _outside_of_packages(paths: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells files that no import finds: data for the system, loose files at the top."""
    packages = {path.split("/")[0] for path in paths if path.count("/") == 1 and _is_code(path)}

    def outside(path: str) -> bool:
        top, slash, _ = path.partition("/")
        if not slash:
            return not _is_code(path)
        return top in _SYSTEM_FOLDERS and top not in packages

    return outside


def _is_code(path: str) -> bool:
    return path.endswith((".py", ".pyi", ".so"))


def _is_residue(path: str) -> bool:
    pure = PurePosixPath(path)
    return (
        path == ".lock"
        or pure.suffix in {".pyc", ".pyo"}
        or "__pycache__" in pure.parts
        or (pure.name in _UV_NOTES and pure.parent.suffix == ".dist-info")
    )


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:5])
    return shown if len(paths) <= 5 else f"{shown} and {len(paths) - 5} more"


def _rewrite_record(record: Path, present: set[str]) -> None:
    """Keep the rows of a RECORD (PEP 376) whose file is still there, sorted."""
    text = _read(record)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise DependencyError(f"{record.parent.name} has an unreadable RECORD.") from error
    kept = sorted(row for row in rows if row[0] in present)
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(kept)
    record.write_text(written.getvalue(), encoding="utf-8", newline="")


def _packages(target: Path, paths: Sequence[str]) -> tuple[LockedPackage, ...]:
    packages = set()
    parser = email.parser.HeaderParser(policy=email.policy.compat32)
    for path in paths:
        if not re.fullmatch(r"[^/]+\.dist-info/METADATA", path):
            continue
        headers = parser.parsestr(_read(target / path))
        name, version = str(headers["Name"] or ""), str(headers["Version"] or "")
        if not re.fullmatch(r"[A-Za-z0-9][\w.\-]{0,200}", name, re.ASCII) or not re.fullmatch(
            r"[\w.+!\-]{1,200}", version, re.ASCII
        ):
            raise DependencyError(f"{path.split('/')[0]} has no valid name and version.")
        packages.add((re.sub(r"[-_.]+", "-", name).lower(), version))
    return tuple(LockedPackage(name=name, version=version) for name, version in sorted(packages))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MAX_METADATA + 1)
    if len(data) > _MAX_METADATA:
        raise DependencyError(f"{path.parent.name}/{path.name} is too large.")
    return data.decode("utf-8", "replace")


def _remove_empty(root: Path) -> None:
    for folder in sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            remove_tree(folder)
