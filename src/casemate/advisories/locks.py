"""Reads the packages that a lock or an SBOM names, and what in it names no package to look up.

Read are requirements files, uv.lock, pylock.toml (PEP 751) and CycloneDX in JSON.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from casemate.advisories import limits
from casemate.advisories.errors import LockFileError
from casemate.advisories.judging import NotJudged
from casemate.advisories.packages import Ecosystem, Package, normalised, package_of_purl
from casemate.decoding import DECODING_ERRORS, decodable, line_of_long_key

_MAX_LINE = 4096
_MAX_COMPONENT_DEPTH = 32
_MAX_KEY_PARTS = 32
_LONG_QUOTES = ('"""', "'''")


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a file names: packages, and what could not be made out to be one."""

    packages: tuple[Package, ...]
    unknown: tuple[NotJudged, ...]


def read_packages(path: Path) -> Listed:
    """Return what a lock or SBOM names. Raises LockFileError."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.MAX_LOCK_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise LockFileError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LockFileError(f"{path} is not UTF-8 text.") from error
    if len(data) > limits.MAX_LOCK_BYTES:
        raise LockFileError(
            f"{path} is larger than {limits.MAX_LOCK_BYTES // limits.MIB} MiB.",
            next_step="Give the lock, or an SBOM of one function.",
        )
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        named = _cyclonedx(path, data)
    elif path.suffix == ".toml" or path.name == "uv.lock":
        named = _toml_lock(path, text)
    else:
        named = _requirements(text)
    found = list(islice(named, limits.MAX_PACKAGES + 1))
    if len(found) > limits.MAX_PACKAGES:
        raise LockFileError(f"{path} names more than {limits.MAX_PACKAGES} packages.")
    packages = {each for each in found if isinstance(each, Package)}
    unknown = {each for each in found if isinstance(each, NotJudged)}
    return Listed(packages=tuple(sorted(packages)), unknown=tuple(sorted(unknown)))


def _requirements(text: str) -> Iterator[Package | NotJudged]:
    held: list[str] = []
    for raw in [*text.splitlines(), ""]:
        line = raw.split(" #", 1)[0] if not raw.lstrip().startswith("#") else ""
        if line.rstrip().endswith("\\"):
            held.append(line.rstrip()[:-1])
            continue
        line = " ".join((*held, line)).strip()
        held.clear()
        if line.startswith("-"):
            option = line.split()[0].split("=")[0]
            if option in ("-r", "--requirement", "-e", "--editable", "-c", "--constraint"):
                yield NotJudged(package=line[:200], reason=f"`{option}` is not followed")
        elif line:
            yield _requirement(line)


def _requirement(line: str) -> Package | NotJudged:
    shown = line.split(" --", 1)[0].strip()
    if len(shown) > _MAX_LINE:
        return NotJudged(package=shown[:200], reason="the line is too long")
    try:
        needed = Requirement(shown)
    except (InvalidRequirement, RecursionError):
        return NotJudged(package=shown[:200], reason="it is no requirement (PEP 508)")
    pins = [each.version for each in needed.specifier if each.operator in ("==", "===")]
    if needed.url is not None:
        return NotJudged(package=shown[:200], reason="it comes from an address, without a version")
    if len(pins) != 1 or pins[0].endswith(".*"):
        return NotJudged(package=shown[:200], reason="no version is pinned with `==`")
    return _pypi(needed.name, pins[0])


def _pypi(name: str, version: str) -> Package | NotJudged:
    found = normalised(Ecosystem.PYPI, name)
    if found is None:
        return NotJudged(package=name[:200], reason="the name is not valid")
    return Package(ecosystem=Ecosystem.PYPI, name=found, version=version)


def _check_keys(path: Path, text: str) -> None:
    """Refuse what no lock has and what takes the reader time by its square: keys of many parts."""
    long = any(quotes in text for quotes in _LONG_QUOTES)
    if long or line_of_long_key(text, _MAX_KEY_PARTS) is not None:
        raise LockFileError(f"{path} has texts or keys that no lock has.")


def _toml_lock(path: Path, text: str) -> Iterator[Package | NotJudged]:
    _check_keys(path, text)
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise LockFileError(f"{path} is not valid TOML: {str(error)[:200]}.") from error
    packages = document.get("package", document.get("packages"))
    if not isinstance(packages, list):
        if document.get("version") == 1 and "requires-python" in document:
            return
        raise LockFileError(
            f"{path} is neither a uv.lock nor a pylock.toml.",
            next_step="Give a requirements lock, uv.lock, pylock.toml or CycloneDX JSON.",
        )
    for each in packages:
        name, version = (
            (each.get("name"), each.get("version")) if isinstance(each, dict) else ("", "")
        )
        if not isinstance(name, str) or not name:
            yield NotJudged(package=str(each)[:200], reason="it has no name")
            continue
        source = each.get("source")
        if isinstance(source, dict) and {"virtual", "editable"} & source.keys():
            continue  # the project itself, or a part of it
        if not isinstance(version, str) or not version:
            yield NotJudged(package=name[:200], reason="it has no version")
            continue
        yield _pypi(name, version)
        elsewhere = {"git", "vcs", "url", "path", "directory", "archive"}
        if (isinstance(source, dict) and elsewhere & source.keys()) or elsewhere & each.keys():
            yield NotJudged(package=f"{name} {version}"[:200], reason="it is from no index")


class _Component(msgspec.Struct, frozen=True):
    name: str = ""
    version: str | None = None
    purl: str | None = None
    type: str = ""
    components: list[_Component] | None = None


class _Bom(msgspec.Struct, frozen=True):
    bom_format: str = msgspec.field(name="bomFormat")
    components: list[_Component] | None = None


def _cyclonedx(path: Path, data: bytes) -> Iterator[Package | NotJudged]:
    try:
        bom = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=decodable(_Bom))
    except RecursionError as error:
        raise LockFileError(f"{path} is nested too deep.") from error
    except DECODING_ERRORS as error:
        raise LockFileError(
            f"{path} is no CycloneDX in JSON: {str(error)[:200]}.",
            next_step="Give a requirements lock, uv.lock, pylock.toml or CycloneDX JSON.",
        ) from error
    if bom.bom_format != "CycloneDX":
        raise LockFileError(f"{path} has the format {bom.bom_format[:40]!a}, not CycloneDX.")
    waiting = [(component, 0) for component in bom.components or ()]
    while waiting:
        component, depth = waiting.pop()
        if depth > _MAX_COMPONENT_DEPTH:
            raise LockFileError(f"{path} is nested too deep.")
        waiting += [(each, depth + 1) for each in component.components or ()]
        if component.type in ("file", "data", "device"):
            continue
        shown = f"{component.name} {component.version or ''}".strip()[:200]
        found = "no package URL" if component.purl is None else package_of_purl(component.purl)
        yield found if isinstance(found, Package) else NotJudged(package=shown, reason=found)
