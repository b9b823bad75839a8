"""The requirements that a project's own files state: loosened for a question, rewritten at last.

Only the versions of a requirement are touched: extras, markers, comments and all else of a file
stay as they are. What names an address or a hash is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from casemate.build.requirements import Kind, Requirements
from casemate.decoding import toml_of

_LINE = re.compile(
    r"([ \t]{0,40}[A-Za-z0-9][A-Za-z0-9._-]{0,200}[ \t]{0,9}(?:\[[^\]\n]{0,300}\][ \t]{0,9})?)"
    r"([(=<>!~][^;#@\\\n]{0,400})(.*)"
)
"""What is before the versions of a requirement, they, and what is behind."""
_FLOORS = (">", ">=")

_Rewrite = Callable[[list[Specifier]], list[str]]
"""Makes other specifiers of specifiers."""


class _Place(NamedTuple):
    """Where a file states a requirement: `text` is in it once, or on the line `number`."""

    file: str
    text: str
    number: int | None
    quote: str = ""


class RequirementLines:
    """What the files of a project require themselves, by package."""

    def __init__(self, requirements: Requirements) -> None:
        """Read them."""
        self._files = dict(requirements.files)
        self._places: dict[str, list[_Place]] = {}
        self.direct: set[str] = set()
        """Packages that the project itself requires."""
        for name, place in _stated(requirements):
            self.direct.add(name)
            if _LINE.fullmatch(place.text) is not None:
                self._places.setdefault(name, []).append(place)

    @property
    def loosenable(self) -> frozenset[str]:
        """Packages whose requirements keep some later version out, and could be written anew."""
        return frozenset(
            name
            for name, places in self._places.items()
            if any(_excludes_something(place.text) for place in places)
        )

    def loosened(self, names: Collection[str]) -> dict[str, str]:
        """Return the files with only lower bounds left for these packages."""
        return self._written(dict.fromkeys(names, _only_floors))

    def rewritten(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Return the files with requirements that take these versions, changed no further."""

        def taking(version: str) -> _Rewrite:
            return lambda specifiers: _taking(specifiers, version)

        return self._written({name: taking(version) for name, version in versions.items()})

    def _written(self, rewrites: Mapping[str, _Rewrite]) -> dict[str, str]:
        files = dict(self._files)
        for name, rewrite in sorted(rewrites.items()):
            for place in self._places.get(name, ()):
                new = _with_versions(place.text, rewrite)
                files[place.file] = _replaced(files[place.file], place, new)
        return files


def _stated(requirements: Requirements) -> Iterator[tuple[str, _Place]]:
    if requirements.kind is Kind.PYPROJECT:
        yield from _of_project(requirements.name, requirements.text)
        return
    for file, text in requirements.files.items():
        for number, line in enumerate(text.splitlines()):
            bare = re.split(r"(?:^|[ \t])#", line, maxsplit=1)[0]
            name = _name(bare) if "--" not in bare and not bare.rstrip().endswith("\\") else None
            if name is not None:
                yield name, _Place(file, line, number)


def _of_project(file: str, text: str) -> Iterator[tuple[str, _Place]]:
    try:
        listed = toml_of(text).get("project", {}).get("dependencies", [])
    except (ValueError, AttributeError):
        return
    for each in listed if isinstance(listed, list) else []:
        name = _name(each) if isinstance(each, str) else None
        if name is None:
            continue
        found = [q for q in "\"'" if text.count(f"{q}{each}{q}") == 1]
        # What is there twice, or written with escapes, is left to its author.
        yield name, _Place(file, each if found else "", None, found[0] if found else "")


def _name(text: str) -> str | None:
    try:
        return str(canonicalize_name(Requirement(text).name))
    except (InvalidRequirement, RecursionError):
        return None


def _specifiers(text: str) -> list[Specifier]:
    match = _LINE.fullmatch(text)
    if match is None:
        return []
    inner = match.group(2).strip().removeprefix("(").removesuffix(")")
    try:
        return [Specifier(part.strip()) for part in inner.split(",") if part.strip()]
    except ValueError:
        return []


def _excludes_something(text: str) -> bool:
    return any(each.operator not in _FLOORS for each in _specifiers(text))


def _with_versions(text: str, rewrite: _Rewrite) -> str:
    match = _LINE.fullmatch(text)
    specifiers = _specifiers(text)
    if match is None or not specifiers:
        return text
    written = match.group(2)
    behind = written[len(written.rstrip()) :]
    made = ",".join(rewrite(specifiers))
    return f"{match.group(1) if made else match.group(1).rstrip()}{made}{behind}{match.group(3)}"


def _replaced(text: str, place: _Place, new: str) -> str:
    if place.number is None:
        return text.replace(
            f"{place.quote}{place.text}{place.quote}", f"{place.quote}{new}{place.quote}"
        )
    lines = text.splitlines(keepends=True)
    end = lines[place.number][len(lines[place.number].splitlines()[0]) :]
    lines[place.number] = new + end
    return "".join(lines)


def _only_floors(specifiers: list[Specifier]) -> list[str]:
    return [str(each) for each in specifiers if each.operator in _FLOORS]


def _taking(specifiers: list[Specifier], version: str) -> list[str]:
    """Return specifiers that take a version: those that do stay, the others follow it."""
    kept: list[str] = []
    for each in specifiers:
        if each.contains(version, prereleases=True):
            kept.append(str(each))
        elif each.operator in ("==", "==="):
            kept.append(f"=={version}")
        elif each.operator == "~=":
            kept.append(f"~={_shortened(version, each.version)}")
    return list(dict.fromkeys(kept)) or [f">={version}"]


def _shortened(version: str, like: str) -> str:
    """Return a version with as many numbers as another one has."""
    try:
        parts = [str(part) for part in Version(version).release]
        return ".".join(parts[: max(2, len(Version(like).release))])
    except InvalidVersion:
        return version
