"""Resolves the requirements of one project, once or again and again with other constraints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from casemate.build.errors import DependencyError
from casemate.build.indexes import BuildIndexes, NoIndexes, ServedIndexes
from casemate.build.limits import LOCK_TIMEOUT
from casemate.build.placing import place_inputs
from casemate.build.requirements import Requirements
from casemate.build.tree import hash_file
from casemate.build.uv_messages import in_one_line
from casemate.build.uv_process import INPUT, UvSession
from casemate.model.errors import CasemateError
from casemate.package_index import pins_of

_CONSTRAINTS = ".casemate-constraints.txt"
_UNSOLVED = "No solution found"

Hides = Callable[[str, str], bool]
"""Tells of a package and a version whether it is not to be offered."""


class Offer(NamedTuple):
    """A release that an index has, and why it may not be installed, if it may not."""

    version: str
    refused: CasemateError | None


class Resolved(NamedTuple):
    """Versions by package, or none where there is no solution, and uv's words for why."""

    versions: dict[str, str] | None
    why: str = ""


class Resolving:
    """The requirements of one project, and what the indexes may offer for them.

    Each index is asked once about each name, however often is resolved. Use it in a `with`.
    """

    def __init__(
        self,
        requirements: Requirements,
        project_root: Path,
        session: UvSession,
        *,
        before: str,
    ) -> None:
        """Resolve `requirements`; `before` is the lock that there was, if any."""
        self._requirements = requirements
        self._root = project_root
        self._session = session
        self._before = before
        self._stack = ExitStack()
        self._placed: dict[tuple[str, ...], Path] = {}
        self._offers: dict[str, list[Offer]] = {}
        self._numbers = itertools.count()
        self._hides: Hides = _nothing
        self._at: ServedIndexes | NoIndexes = NoIndexes()

    def __enter__(self) -> Resolving:
        """Begin to serve the indexes. Raises PackagePolicyError."""
        texts = list(self._requirements.files.values())
        indexes = BuildIndexes(self._session, self._root)
        self._at = self._stack.enter_context(
            indexes.serving(
                texts,
                before=self._before,
                aged=True,
                hides=self._hidden,
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stack.close()

    def versions(
        self,
        constraints: Sequence[str],
        *,
        files: Mapping[str, str] | None = None,
        hides: Hides | None = None,
    ) -> Resolved:
        """Return which versions the resolver chooses under constraints (a line of PEP 508 each).

        `files` stand in place of the project's own; what `hides` tells is not offered. Raises
        CasemateError where it cannot be told: an index that cannot be reached, or lies.
        """
        self._hides = hides or _nothing
        attempt = _Attempt(self._at)
        excluded = [f"{n}!={v}" for n, v in self._vendored() if self._hides(n, v)]
        try:
            output = self._run([*constraints, *excluded], files, (), attempt)
        except DependencyError:
            if _UNSOLVED not in attempt.errors:
                raise
            return Resolved(None, in_one_line(attempt.errors, self._session.interpreter))
        return Resolved({pin.package: pin.version for pin in pins_of(output)})

    def locked(self, constraints: Sequence[str], *, files: Mapping[str, str] | None = None) -> str:
        """Return what the resolver chooses, with hashes, and where each package comes from.

        Raises a DependencyError, PackageRefusedError or IndexUnavailableError.
        """
        self._hides = _nothing
        output = self._run(constraints, files, ("--generate-hashes",), self._at)
        return self._at.recorded(self._at.outside(output))

    def offers(self, package: str) -> list[Offer]:
        """Return the releases with a wheel that fits, the oldest first."""
        if package not in self._offers:
            self._offers[package] = self._asked_for(package)
        return self._offers[package]

    def _asked_for(self, package: str) -> list[Offer]:
        found: dict[str, Offer] = {
            version: Offer(version, None) for name, version in self._vendored() if name == package
        }
        if isinstance(self._at, ServedIndexes):
            for version, refused in self._at.offers(package):
                held = found.get(version)
                if held is None or held.refused is not None:
                    found[version] = Offer(version, refused)
        return sorted(found.values(), key=lambda offer: Version(offer.version))

    def wheel(self, package: str, hashes: frozenset[str], folder: Path) -> Path | None:
        """Return the wheel that would be installed of these, brought into `folder`."""
        for vendored in self._requirements.vendored:
            for path in sorted((self._root / vendored).glob("*.whl")):
                named = _named(path.name)[0] == package and not path.is_symlink()
                if named and hash_file(path.parent, path.name).sha256 in hashes:
                    return path
        if isinstance(self._at, ServedIndexes):
            return self._at.fetched(package, hashes, folder)
        return None

    def _hidden(self, package: str, version: str) -> bool:
        return self._hides(package, version)

    def _vendored(self) -> list[tuple[str, str]]:
        return [
            found
            for folder in self._requirements.vendored
            for path in sorted((self._root / folder).glob("*.whl"))
            if (found := _named(path.name))[0]
        ]

    def _run(
        self,
        constraints: Sequence[str],
        files: Mapping[str, str] | None,
        options: Sequence[str],
        served: ServedIndexes | NoIndexes | _Attempt,
    ) -> str:
        given = self._given(files or self._requirements.files)
        name = PurePosixPath(self._requirements.name)
        (given / _CONSTRAINTS).write_text("".join(f"{line}\n" for line in constraints))
        (given / _CONSTRAINTS).chmod(0o644)
        finished = self._session.run(
            [
                *("pip", "compile", name.name, "--no-header", "--no-annotate", *options),
                *("--constraints", f"{INPUT}/{_CONSTRAINTS}", "--only-binary", ":all:"),
            ],
            given=given,
            folder=name.parent.as_posix(),
            timeout=LOCK_TIMEOUT,
            served=served,
        )
        return finished.output

    def _given(self, files: Mapping[str, str]) -> Path:
        """Return the folder in which these files lie as in the project, made once."""
        key = tuple(part for name in sorted(files) for part in (name, files[name]))
        if key not in self._placed:
            given = self._session.work / f"resolve-{next(self._numbers)}"
            inside = {path: self._at.inside(text) for path, text in files.items()}
            place_inputs(inside, self._requirements.vendored, self._root, given)
            self._placed[key] = given
        return self._placed[key]


class _Attempt:
    """Serves what is served, and keeps what uv said when it found no solution."""

    def __init__(self, served: ServedIndexes | NoIndexes) -> None:
        self._served = served
        self.environment = served.environment
        self.network = served.network
        self.errors = ""

    def explanation(self, errors: str) -> CasemateError | None:
        """Return what went wrong with an index; refusals are not errors here."""
        self.errors = errors
        return self._served.failure

    def versions(self, package: str) -> Iterable[str]:
        """Return the versions that may be installed."""
        return self._served.versions(package)


def _nothing(package: str, version: str) -> bool:
    return False


def _named(filename: str) -> tuple[str, str]:
    """Return package and version of a wheel; empty for what is none."""
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return "", ""
    return str(canonicalize_name(name)), str(version)
