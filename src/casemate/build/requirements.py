"""Reads what a function declares as its dependencies, without resolving anything.

Only files below the project are read. Refused are options that install something else than
wheels from an index or a vendored folder: editable installs, local paths, version control.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path, PurePosixPath

from casemate.build.errors import RequirementsFileError, UnhashedRequirementError
from casemate.build.limits import MAX_REQUIREMENTS_BYTES
from casemate.decoding import toml_of

_MAX_INCLUDED = 50
_STRONG = ("sha256:", "sha384:", "sha512:")
_HASH = re.compile(r"--hash[= ]\s*(\S+)")
_OPTION = re.compile(r"^(-[a-zA-Z]|--[a-z-]++)(?:[= ]\s*)?(.*)$")
_INCLUDES = {"-r", "--requirement", "-c", "--constraint"}
_INDEXES = {"-i", "--index-url", "--extra-index-url"}
_PLAIN = {"--no-index", "--only-binary", "--pre", "--prefer-binary", "--require-hashes"}
_PYLOCK = re.compile(r"^pylock(?:\.[^.]+)?\.toml$")


class Kind(Enum):
    """What a requirements file is, told by its name."""

    REQUIREMENTS = auto()
    PYPROJECT = auto()
    UV_LOCK = auto()
    PYLOCK = auto()


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """A declared set of dependencies.

    `name` is the file's path relative to the project; `files` everything that a resolver must
    see, by such paths; `options` the lines a lock must repeat; `vendored` folders with wheels;
    `locked` says that every requirement has a hash already, `empty` that none is named.
    `fingerprint` changes if and only if something that a lock depends on does.
    """

    kind: Kind
    name: str
    files: dict[str, str]
    fingerprint: str
    options: tuple[str, ...] = ()
    vendored: tuple[str, ...] = ()
    locked: bool = False
    empty: bool = False

    @property
    def text(self) -> str:
        """Return the text of the file itself."""
        return self.files[self.name]


@dataclass
class _Scan:
    """What has been gathered from a requirements file and those it includes."""

    files: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    vendored: list[str] = field(default_factory=list)
    hashed: list[bool] = field(default_factory=list)


def read_requirements(project_root: Path, name: str) -> Requirements:
    """Read the file `name` of a project.

    A pyproject.toml with a uv.lock beside it is taken as locked by that. Raises
    RequirementsFileError, and UnhashedRequirementError for hashes that are not SHA-2.
    """
    root = project_root.resolve()
    name = _relative(root, PurePosixPath(name))
    base = PurePosixPath(name).name
    if base == "uv.lock" or (base == "pyproject.toml" and _sibling(root, name, "uv.lock")):
        return _read_uv_lock(root, name)
    if base == "pyproject.toml":
        text = _read(root, name)
        relevant = json.dumps(_project_tables(name, text), sort_keys=True, default=str)
        return Requirements(
            kind=Kind.PYPROJECT,
            name=name,
            files={name: text},
            fingerprint=_fingerprint({name: relevant}),
        )
    if _PYLOCK.match(base):
        text = _read(root, name)
        _check_pylock(name, _toml(name, text))
        files = {name: text}
        return Requirements(
            kind=Kind.PYLOCK, name=name, files=files, fingerprint=_fingerprint(files), locked=True
        )
    scan = _Scan()
    _scan(root, name, scan)
    return Requirements(
        kind=Kind.REQUIREMENTS,
        name=name,
        files=scan.files,
        fingerprint=_fingerprint(scan.files),
        options=tuple(dict.fromkeys(scan.options)),
        vendored=tuple(dict.fromkeys(scan.vendored)),
        locked=bool(scan.hashed) and all(scan.hashed) and len(scan.files) == 1,
        empty=not scan.hashed,
    )


def with_files(requirements: Requirements, files: Mapping[str, str]) -> Requirements:
    """Return requirements that are to be resolved, with other texts of their files."""
    relevant = dict(files)
    if requirements.kind is Kind.PYPROJECT:
        name = requirements.name
        tables = _project_tables(name, files[name])
        relevant = {name: json.dumps(tables, sort_keys=True, default=str)}
    return replace(requirements, files=dict(files), fingerprint=_fingerprint(relevant))


def project_of(requirements: Requirements) -> Requirements:
    """Return the pyproject.toml that a uv.lock was made from, to be resolved by itself."""
    name = next(name for name in requirements.files if name != requirements.name)
    bare = Requirements(kind=Kind.PYPROJECT, name=name, files={}, fingerprint="")
    return with_files(bare, {name: requirements.files[name]})


def check_strong_hashes(name: str, text: str) -> None:
    """Raise UnhashedRequirementError if a `--hash` of a lock is not SHA-2."""
    for value in _HASH.findall(text):
        if not value.startswith(_STRONG):
            raise UnhashedRequirementError(
                f"{name} has the hash `{value[:20]}…`; expected sha256, sha384 or sha512.",
                next_step="Lock again with SHA-256 hashes.",
            )


def _read_uv_lock(root: Path, name: str) -> Requirements:
    lock, project = (str(PurePosixPath(name).with_name(n)) for n in ("uv.lock", "pyproject.toml"))
    if not _sibling(root, name, "pyproject.toml"):
        raise RequirementsFileError(
            f"{name} has no pyproject.toml beside it.", next_step="Add the one it was made from."
        )
    files = {lock: _read(root, lock), project: _read(root, project)}
    tables = _project_tables(project, files[project])
    relevant = json.dumps(tables, sort_keys=True, default=str)
    return Requirements(
        kind=Kind.UV_LOCK,
        name=lock,
        files=files,
        fingerprint=_fingerprint({lock: files[lock], project: relevant}),
        locked=True,
    )


def _scan(root: Path, name: str, scan: _Scan) -> None:
    """Gather a requirements file (pip's format) and what it includes."""
    if name in scan.files:
        return
    if len(scan.files) >= _MAX_INCLUDED:
        raise RequirementsFileError(f"{name}: more than {_MAX_INCLUDED} files are included.")
    scan.files[name] = text = _read(root, name)
    check_strong_hashes(name, text)
    for number, line in _logical_lines(text):
        where = f"{name}, line {number}"
        if line.startswith("-"):
            _scan_option(root, name, where, line, scan)
        else:
            _check_requirement(where, line)
            scan.hashed.append(_HASH.search(line) is not None)


def _scan_option(root: Path, name: str, where: str, line: str, scan: _Scan) -> None:
    match = _OPTION.match(line)
    option, value = (match.group(1), match.group(2).strip()) if match else (line, "")
    if option in _INCLUDES:
        _scan(root, _relative(root, PurePosixPath(name).parent / value), scan)
    elif option in _INDEXES or (option in {"-f", "--find-links"} and "://" in value):
        if not value.startswith(("https://", "http://")) or "@" in value.split("?")[0]:
            raise RequirementsFileError(
                f"{where}: `{option}` takes an http(s) address without credentials.",
                next_step="Give an index that needs a password in UV_DEFAULT_INDEX.",
            )
        scan.options.append(f"{option} {value}")
    elif option in {"-f", "--find-links"}:
        folder = _relative(root, PurePosixPath(name).parent / value)
        if not (root / folder).is_dir():
            raise RequirementsFileError(f"{where}: there is no folder {value!r} in the project.")
        scan.vendored.append(folder)
    elif option in _PLAIN:
        scan.options.extend([option] if option == "--no-index" else [])
    else:
        raise RequirementsFileError(
            f"{where}: `{option}` is not supported; only wheels from an index or a vendored "
            "folder are installed.",
            next_step="Name a released package instead.",
        )


def _check_requirement(where: str, line: str) -> None:
    """Refuse what is not a named package: paths, archives, version control."""
    if re.match(
        r"[A-Za-z0-9][\w.\-]*+\s*+(\[[^\]]*+\])?\s*+($|[=<>!~;(\\]|@\s*https?://|--hash)", line
    ):
        return
    raise RequirementsFileError(
        f"{where}: found {line[:80]!r}, expected a package name, optionally with a version "
        "(`name==1.2`) or the https address of a wheel.",
        next_step="Local paths and version control are not supported: build a wheel and name its "
        "folder with `--find-links`.",
    )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with continuations joined and comments gone, with the number of the first."""
    held, start = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw)
        start = start or number
        if line.rstrip().endswith("\\"):
            held += line.rstrip()[:-1] + " "
            continue
        line = (held + line).strip()
        if line:
            yield start, line
        held, start = "", 0


def _project_tables(name: str, text: str) -> dict[str, object]:
    """Return what a lock depends on in a pyproject.toml."""
    document = _toml(name, text)
    project = document.get("project")
    if not isinstance(project, dict):
        raise RequirementsFileError(
            f"{name} has no [project] table.", next_step="Declare `dependencies` in it."
        )
    if "dependencies" in project.get("dynamic", ()):
        raise RequirementsFileError(
            f"{name}: the dependencies are dynamic; reading them would run code of the project.",
            next_step="List them in [project] dependencies, or use a requirements.txt.",
        )
    tool = document.get("tool")
    return {
        "dependencies": project.get("dependencies", []),
        "requires-python": project.get("requires-python"),
        "uv": tool.get("uv") if isinstance(tool, dict) else None,
    }


def _check_pylock(name: str, document: dict[str, object]) -> None:
    """Raise unless every file of a pylock.toml (PEP 751) is a wheel with a SHA-2 hash."""
    packages = document.get("packages", [])
    for package in packages if isinstance(packages, list) else []:
        label = package.get("name", "?") if isinstance(package, dict) else "?"
        wheels = package.get("wheels") if isinstance(package, dict) else None
        if not isinstance(wheels, list) or not wheels:
            raise RequirementsFileError(
                f"{name}: {label} is locked without a wheel.",
                next_step="Only wheels are installed; lock a version that has one.",
            )
        for wheel in wheels:
            hashes = wheel.get("hashes") if isinstance(wheel, dict) else None
            if not isinstance(hashes, dict) or not {"sha256", "sha384", "sha512"} & set(hashes):
                raise UnhashedRequirementError(f"{name}: a wheel of {label} has no SHA-2 hash.")


def _toml(name: str, text: str) -> dict[str, object]:
    try:
        return toml_of(text)
    except ValueError as error:
        raise RequirementsFileError(f"{name} is not valid TOML: {error}.") from error


def _sibling(root: Path, name: str, other: str) -> bool:
    return (root / PurePosixPath(name).with_name(other)).is_file()


def _relative(root: Path, name: PurePosixPath) -> str:
    """Return the path below the project that `name` leads to, links resolved."""
    try:
        return (root / name).resolve().relative_to(root).as_posix()
    except (ValueError, OSError, RuntimeError) as error:
        raise RequirementsFileError(
            f"{str(name)!r} is not inside the project.", next_step="Use a path inside it."
        ) from error


def _read(root: Path, name: str) -> str:
    path = root / name
    try:
        if not path.is_file():
            raise RequirementsFileError(f"There is no file {name!r} in the project.")
        with path.open("rb") as file:
            data = file.read(MAX_REQUIREMENTS_BYTES + 1)
        if len(data) > MAX_REQUIREMENTS_BYTES:
            raise RequirementsFileError(
                f"{name} is larger than {MAX_REQUIREMENTS_BYTES // 1024 // 1024} MiB."
            )
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequirementsFileError(f"{name} is not UTF-8 text.") from error
    except (OSError, ValueError) as error:
        raise RequirementsFileError(f"{name!r} cannot be read.") from error


def _fingerprint(parts: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        for part in (name, parts[name]):
            data = part.encode()
            digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()
