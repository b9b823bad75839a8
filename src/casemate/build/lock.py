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
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path, PurePosixPath

from casemate.build.errors import RequirementsFileError, UnhashedRequirementError
from casemate.build.interpreters import machine
from casemate.build.limits import LOCK_TIMEOUT, MAX_REQUIREMENTS_BYTES
from casemate.build.placing import place_inputs
from casemate.build.requirements import Kind, Requirements, check_strong_hashes
from casemate.build.resolving import Resolving
from casemate.build.uv_process import UvSession
from casemate.build.writing import write_together
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


def present_lock(requirements: Requirements, project_root: Path, session: UvSession) -> str | None:
    """Return the lock that a build would use as it is; none if it would resolve first."""
    if requirements.kind is Kind.UV_LOCK:
        return _export(requirements, session)[0]
    if requirements.locked:
        return requirements.text
    path = lock_path(project_root, requirements.name, session.interpreter.minor)
    return _held(path, requirements.fingerprint)


def lock_path(project_root: Path, name: str, minor: str) -> Path:
    """Return where the lock of a requirements file is kept, for one Python version."""
    return project_root / f"{name}.cp{minor.replace('.', '')}-{machine()}.lock"


def _resolve(
    requirements: Requirements, project_root: Path, session: UvSession, *, before: str
) -> str:
    """Resolve from what the indexes may offer; `before` is the lock that there was, if any."""
    with Resolving(requirements, project_root, session, before=before) as resolving:
        return own_lock(requirements, resolving.locked(()))


def own_lock(requirements: Requirements, resolved: str) -> str:
    """Return the text of a lock of our own: what was resolved, and of which requirements."""
    folder = PurePosixPath(requirements.name).parent
    links = [f"--find-links {os.path.relpath(v, folder)}" for v in requirements.vendored]
    options = "".join(f"{line}\n" for line in (*requirements.options, *links))
    return _HEADER.format(fingerprint=requirements.fingerprint) + options + resolved


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
    try:
        write_together({path: text}, like=like)
    except OSError as error:
        raise RequirementsFileError(
            f"The lock {path.name} cannot be written next to the requirements: {error.strerror}.",
            next_step="Make the folder writable; without the lock builds do not repeat.",
        ) from error
