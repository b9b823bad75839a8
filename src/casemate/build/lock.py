"""Turns declared dependencies into a lock: one version of everything, each with its hashes.

What is locked already is kept. Otherwise the lock is written next to the file it was made from,
as `<file>.cp<version>-<machine>.lock`, with the fingerprint of what it was made from in its
header; as long as that does not change, neither does the lock. Commit it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path, PurePosixPath

from casemate.build.errors import RequirementsFileError, UnhashedRequirementError
from casemate.build.indexes import BuildIndexes
from casemate.build.interpreters import machine
from casemate.build.limits import LOCK_TIMEOUT, MAX_REQUIREMENTS_BYTES, MAX_SOURCE_FILES
from casemate.build.requirements import Kind, Requirements, check_strong_hashes
from casemate.build.tree import normalise_modes
from casemate.build.uv_process import UvSession
from casemate.package_index import IndexUnavailableError

_HEADER = "# casemate lock 1\n# fingerprint: {fingerprint}\n# commit this file; do not edit it\n"
_FINGERPRINT = re.compile(r"\A# casemate lock 1\n# fingerprint: ([0-9a-f]{64})\n")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A complete lock. `pylock` tells the format: pylock.toml (PEP 751) or requirements.txt.

    `folder` is where it belongs relative to the project, and `vendored` the folders of wheels,
    relative to the project, that it needs. `own` says that it was made here, and so was judged.
    """

    text: str
    pylock: bool
    folder: str
    vendored: tuple[str, ...] = ()
    own: bool = False

    @property
    def sha256(self) -> str:
        """Return the hash of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def lock(
    requirements: Requirements, project_root: Path, session: UvSession, *, relock: bool = False
) -> tuple[Lock, str | None]:
    """Return the lock of a project's requirements and a warning, if any.

    Reaches for the network only if there is no fitting lock yet (or `relock`). Raises a
    DependencyError or IndexUnavailableError.
    """
    warning = None
    own = False
    if requirements.kind is Kind.UV_LOCK:
        text, warning = _export(requirements, session)
    elif requirements.locked:
        text = requirements.text
    else:
        own = True
        path = lock_path(project_root, requirements.name, session.interpreter.minor)
        held = None if relock else _held(path, requirements.fingerprint)
        text = held or _resolve(requirements, project_root, session, before=_before(path))
        if held is None:
            _write(path, text, like=project_root / requirements.name)
    check_strong_hashes(requirements.name, text)
    made = Lock(
        text=text,
        pylock=requirements.kind is Kind.PYLOCK,
        folder=PurePosixPath(requirements.name).parent.as_posix(),
        vendored=requirements.vendored,
        own=own,
    )
    return made, warning


def lock_path(project_root: Path, name: str, minor: str) -> Path:
    """Return where the lock of a requirements file is kept, for one Python version."""
    return project_root / f"{name}.cp{minor.replace('.', '')}-{machine()}.lock"


def place_inputs(
    files: dict[str, str], vendored: tuple[str, ...], project_root: Path, given: Path
) -> None:
    """Lay out files and vendored wheels in the new folder `given` as they are in the project."""
    given.mkdir()
    for name, text in files.items():
        target = given / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for folder in vendored:
        target = given / folder
        target.mkdir(parents=True, exist_ok=True)
        _copy_wheels(project_root / folder, target)
    normalise_modes(given)


def _resolve(
    requirements: Requirements, project_root: Path, session: UvSession, *, before: str
) -> str:
    """Resolve from what the indexes may offer; `before` is the lock that there was, if any."""
    given = session.work / "lock"
    name = PurePosixPath(requirements.name)
    indexes = BuildIndexes(session, project_root)
    texts = list(requirements.files.values())
    with indexes.serving(texts, before=before, aged=True) as at:
        files = {path: at.inside(text) for path, text in requirements.files.items()}
        place_inputs(files, requirements.vendored, project_root, given)
        finished = session.run(
            [
                *("pip", "compile", name.name, "--no-header", "--no-annotate"),
                *("--generate-hashes", "--only-binary", ":all:"),
            ],
            given=given,
            folder=name.parent.as_posix(),
            timeout=LOCK_TIMEOUT,
            served=at,
        )
        output = at.recorded(at.outside(finished.output))
    links = [f"--find-links {os.path.relpath(v, name.parent)}" for v in requirements.vendored]
    options = "".join(f"{line}\n" for line in (*requirements.options, *links))
    header = _HEADER.format(fingerprint=requirements.fingerprint)
    return header + options + output


def _export(requirements: Requirements, session: UvSession) -> tuple[str, str | None]:
    """Translate uv.lock, after checking that it fits its pyproject.toml; kept for the next time."""
    kept = (
        session.cache.parent
        / "exports"
        / f"{requirements.fingerprint}-{metadata.version('uv')}.txt"
    )
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8"), None
    given = session.work / "lock"
    place_inputs(requirements.files, (), Path(), given)
    run = partial(
        session.run,
        given=given,
        folder=PurePosixPath(requirements.name).parent.as_posix(),
        timeout=LOCK_TIMEOUT,
    )
    command = ["export", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate"]
    command += ["--format", "requirements.txt", "--no-build"]
    warning = None
    try:
        finished = run([*command, "--locked"])
    except IndexUnavailableError:
        warning = "Without network it was not checked that uv.lock fits pyproject.toml."
        finished = run([*command, "--frozen"])
    for line in finished.output.splitlines():
        if line.startswith(("-e ", "./", "../", "/")) or " @ git+" in line or " @ file:" in line:
            raise RequirementsFileError(
                f"uv.lock needs {line[:80]!r}, which is not a wheel from an index.",
                next_step="Depend on a released package, or vendor its wheel.",
            )
    if warning is None:
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        _write(kept, finished.output, like=kept.parent)
    return finished.output, warning


def _held(path: Path, fingerprint: str) -> str | None:
    """Return the lock that was written before, if it fits; never follows a link."""
    try:
        text = _text(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RequirementsFileError(
            f"{path.name} cannot be read.", next_step="Remove it and build again."
        ) from error
    match = _FINGERPRINT.match(text)
    if len(text) > MAX_REQUIREMENTS_BYTES or match is None:
        raise RequirementsFileError(
            f"{path.name} is not a lock that Casemate wrote.",
            next_step="Remove it, or lock again (`--relock`).",
        )
    return text if match.group(1) == fingerprint else None


def _before(path: Path) -> str:
    """Return a lock that was written here before, whether it fits or not; nothing without one."""
    try:
        text = _text(path)
    except (OSError, ValueError):
        return ""
    return text if len(text) <= MAX_REQUIREMENTS_BYTES and _FINGERPRINT.match(text) else ""


def _text(path: Path) -> str:
    """Return up to a character more than a lock may have. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="utf-8", newline="") as file:
        return file.read(MAX_REQUIREMENTS_BYTES + 1)


def _write(path: Path, text: str, *, like: Path) -> None:
    """Write a lock at once or not at all, owned by whoever owns the requirements."""
    if len(text) > MAX_REQUIREMENTS_BYTES:
        raise UnhashedRequirementError("The lock is too large.")
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".casemate-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            owner = like.stat()
            os.fchmod(descriptor, 0o644)
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise RequirementsFileError(
            f"The lock {path.name} cannot be written next to the requirements: {error.strerror}.",
            next_step="Make the folder writable; without the lock builds do not repeat.",
        ) from error


def _copy_wheels(source: Path, target: Path) -> None:
    """Copy the distributions of a vendored folder; source archives too, to be named in errors."""
    names = sorted(path.name for path in source.iterdir())
    if len(names) > MAX_SOURCE_FILES:
        raise RequirementsFileError(f"{source.name} holds more than {MAX_SOURCE_FILES} files.")
    for name in names:
        found = source / name
        if not name.endswith((".whl", ".tar.gz", ".zip")) or found.is_symlink():
            continue
        if not found.is_file():
            continue
        try:
            with (source / name).open("rb") as read, (target / name).open("wb") as write:
                while chunk := read.read(1 << 20):
                    write.write(chunk)
        except OSError as error:
            raise RequirementsFileError(f"The vendored {name} cannot be read.") from error
