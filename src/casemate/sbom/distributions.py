"""The packages in a bundle: what each says of itself, which files are its, what it needs."""

from __future__ import annotations

import csv
import email.parser
import email.policy
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from casemate.advisories import Ecosystem, Package, normalised
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.errors import CasemateError

_MAX_BYTES = 4 * 1024 * 1024
_MAX_NEEDS = 2_000
"""What one package may say that it needs; the rest is not read."""
_MAX_NEED_CHARS = 4_096
_MAX_EXTRAS = 50
"""Extras of one package that others ask for."""
MAX_STATED_BYTES = 32 * 1024 * 1024
"""Size of all METADATA and RECORD of a bundle. A package has some 20 KB of it."""
MAX_NEEDS_CHARS = 4 * 1024 * 1024
"""What all packages of a bundle say that they need: a millisecond is taken for each KiB of it."""
MAX_JUDGED_CHARS = 16 * 1024 * 1024
"""Conditions of needs, each as often as it is held against an extra."""
_METADATA = re.compile(r"deps/([^/]+\.dist-info)/METADATA")


class SbomError(CasemateError):
    """The bundle's packages cannot be read."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """One installed package. `content` is a digest over the names and digests of its files."""

    package: Package
    metadata: Message
    files: int
    size: int
    content: str
    native: int
    """How many of its files are code of the machine."""
    needs: tuple[Requirement, ...]


def distributions(bundle: Path, manifest: BundleManifest) -> tuple[list[Distribution], int]:
    """Return the packages of a bundle by name, and how many files below `deps/` are nobody's.

    Raises SbomError.
    """
    found, owned, said = [], set(), 0
    for metadata, rows in _installed(bundle, manifest):
        owned |= {file.path for file in rows}
        said += sum(len(str(text)) for text in metadata.get_all("Requires-Dist") or ())
        _require_most("say that they need", said, MAX_NEEDS_CHARS)
        found.append(_distribution(metadata, rows))
    if len({each.package.name for each in found}) < len(found):
        # Of two, readers of an SBOM know one: the other would be there and in no list.
        raise SbomError(
            "The bundle has the metadata of a package twice, expected once.",
            next_step="Build it again with `casemate build`.",
        )
    named = {(each.name, each.version) for each in manifest.packages}
    if {(each.package.name, each.package.version) for each in found} != named:
        raise SbomError("The packages in the bundle are not those that its manifest names.")
    rest = [
        file.path
        for file in manifest.files
        if file.path.startswith("deps/")
        and file.path not in owned
        and "__pycache__" not in file.path
    ]
    found.sort(key=lambda each: each.package)
    return found, sum(not path.endswith("/RECORD") for path in rest)


def owners(bundle: Path, manifest: BundleManifest) -> dict[str, tuple[str, str]]:
    """Return name and version of the package of each file below `deps/`, by its path.

    Raises SbomError.
    """
    found: dict[str, tuple[str, str]] = {}
    for metadata, rows in _installed(bundle, manifest):
        name, version = _name_of(metadata)
        found |= dict.fromkeys((file.path for file in rows), (name or "", version))
    return found


def _installed(
    bundle: Path, manifest: BundleManifest
) -> Iterator[tuple[Message, list[BundleFile]]]:
    """Give of each package what it says of itself, and its files."""
    files = {file.path: file for file in manifest.files}
    stated = 0
    for path in sorted(files):
        match = _METADATA.fullmatch(path)
        if match is not None:
            record = files.get(f"deps/{match.group(1)}/RECORD")
            stated += files[path].size + (0 if record is None else record.size)
            _require_most("say of themselves", stated, MAX_STATED_BYTES)
            yield headers(bundle, files[path]), _recorded(bundle, files, record)


def _require_most(what: str, size: int, most: int) -> None:
    """Raise SbomError for more than is read: the node reads it, and others wait for that."""
    if size > most:
        raise SbomError(
            f"What the packages of the bundle {what} is {size} characters or more, and at most "
            f"{most} are read.",
            next_step="Use fewer dependencies; METADATA and RECORD below deps/ say all that.",
        )


def _name_of(metadata: Message) -> tuple[str | None, str]:
    """Return name and version; None is a name that is not valid."""
    name = normalised(Ecosystem.PYPI, str(metadata["Name"] or ""))
    return name, str(metadata["Version"] or "")


def needed(found: Sequence[Distribution], environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what each package needs of the others, by name, where this interpreter runs it.

    Extras that a package asks for count; those that the function itself asked for are not known.
    Raises SbomError.
    """
    by_name = {each.package.name: each for each in found}
    extras: dict[str, set[str]] = {name: {""} for name in by_name}
    edges: dict[str, set[str]] = {name: set() for name in by_name}
    waiting = [(name, "") for name in by_name]
    stated = {
        name: [(need, str(need.marker or "")) for need in each.needs]
        for name, each in by_name.items()
    }
    judged = 0
    while waiting:
        name, extra = waiting.pop()
        for need, marker in stated[name]:
            if extra and "extra" not in marker:
                continue  # it was held against none, and is the same with any
            judged += len(marker)
            _require_most("need under conditions", judged, MAX_JUDGED_CHARS)
            other = normalised(Ecosystem.PYPI, need.name)
            if other not in by_name or not _applies(need, environment, extra):
                continue
            edges[name].add(other)
            for asked in sorted(need.extras):
                if asked not in extras[other] and len(extras[other]) < _MAX_EXTRAS:
                    extras[other].add(asked)
                    waiting.append((other, asked))
    return {name: sorted(others - {name}) for name, others in edges.items()}


def _applies(need: Requirement, environment: Mapping[str, str], extra: str) -> bool:
    if need.marker is None:
        return True
    try:
        return need.marker.evaluate({**environment, "extra": extra})
    except (ValueError, KeyError, RecursionError):
        return True  # a marker that cannot be told: better one edge too many


def _distribution(metadata: Message, rows: Sequence[BundleFile]) -> Distribution:
    name, version = _name_of(metadata)
    if name is None or not version:
        raise SbomError("A package in the bundle has no valid name and version.")
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in rows)
    return Distribution(
        package=Package(ecosystem=Ecosystem.PYPI, name=name, version=version),
        metadata=metadata,
        files=len(rows),
        size=sum(file.size for file in rows),
        content=hashlib.sha256(lines.encode()).hexdigest(),
        native=sum(bool(re.search(r"\.so(?:\.[0-9]+){0,4}\Z", file.path)) for file in rows),
        needs=_needs(metadata),
    )


def _needs(metadata: Message) -> tuple[Requirement, ...]:
    needs = []
    for text in (metadata.get_all("Requires-Dist") or ())[:_MAX_NEEDS]:
        if len(str(text)) > _MAX_NEED_CHARS:
            continue
        try:
            needs.append(Requirement(str(text)))
        except (InvalidRequirement, RecursionError):
            continue
    return tuple(needs)


def _recorded(
    bundle: Path, files: Mapping[str, BundleFile], record: BundleFile | None
) -> list[BundleFile]:
    """Return the files that a RECORD names (PEP 376), without itself and what was compiled here."""
    if record is None:
        return []
    try:
        rows = [row[0] for row in csv.reader(io.StringIO(_text(bundle, record), newline="")) if row]
    except csv.Error as error:
        raise SbomError(f"{record.path} is unreadable.") from error
    paths = {f"deps/{row}" for row in rows} - {record.path}
    return [files[path] for path in sorted(paths & files.keys())]


def headers(bundle: Path, file: BundleFile) -> Message:
    """Return the headers of a METADATA. Raises SbomError."""
    return email.parser.HeaderParser(policy=email.policy.compat32).parsestr(_text(bundle, file))


def _text(bundle: Path, file: BundleFile) -> str:
    """Return the text of a file, if it is the one that the manifest names."""
    if file.size > _MAX_BYTES:
        raise SbomError(f"{file.path} is too large.")
    try:
        descriptor = os.open(bundle / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SbomError(f"{file.path} of the bundle cannot be read.") from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise SbomError(f"{file.path} of the bundle is not what its manifest names.")
    return data.decode("utf-8", "replace")
