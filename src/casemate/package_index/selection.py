"""What of the indexes one build may see: from which index a name comes, and which of its files.

Everything that is refused is remembered with its reason, to be told if the build fails without it.
Several threads may ask.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from casemate.model.errors import CasemateError
from casemate.package_index import limits
from casemate.package_index.errors import (
    AmbiguousIndexError,
    LookAlikeError,
    MovedError,
    PackageRefusedError,
)
from casemate.package_index.indexes import Index
from casemate.package_index.judging import Rules, exception, refusal
from casemate.package_index.listing import ACCEPT, Release, parse_listing
from casemate.package_index.names import PopularNames
from casemate.package_index.origins import Origin, Pin
from casemate.package_index.policy import POLICY_FILE, Allow
from casemate.package_index.upstream import Upstream

_Found = tuple[Index, tuple[Release, ...]]
_REQUIRED = re.compile(
    r"(?:requires?|depends? on) ([A-Za-z0-9][\w.\-]{0,127})(?:\[[^\]]{0,200}\])?"
    r"([=<>!~][\w.*+!,<>=~]{1,200})"
)
"""What uv says that was asked for: "you require pyyaml==5.3"."""


class Selection:
    """The files that a build may install, by name, each name from one index."""

    def __init__(
        self,
        indexes: Iterable[Index],
        upstream: Upstream,
        rules: Rules,
        *,
        origins: Mapping[str, Origin],
        pins: Iterable[Pin],
        popular: PopularNames | None,
        hides: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Choose by `rules`; `origins` and `pins` are what the lock held until now.

        With `popular` names that the lock does not hold are compared to popular ones. What `hides`
        tells by package and version is not offered, and that is no refusal: who asks knows why.
        """
        self.indexes = tuple(indexes)
        self.rules = rules
        self._upstream = upstream
        self._origins = origins
        self._held = {pin.package: pin for pin in pins}
        self._popular = popular
        self._hides = hides
        self._lock = threading.Lock()
        self._found: dict[str, Future[_Found | None]] = {}
        self._refused: dict[tuple[str, str], PackageRefusedError] = {}
        self._failed: CasemateError | None = None

    def releases(self, package: str) -> tuple[Release, ...] | None:
        """Return the files of a project that may be installed; None if there is no such project.

        Raises CasemateError for an index that cannot be reached, or lies.
        """
        found = self._of(package)
        if found is None:
            return None
        return tuple(each for each in found[1] if not self._withheld(package, each))

    def release(self, package: str, sha256: str) -> Release | None:
        """Return one file that may be installed."""
        found = self.listed(package, sha256)
        return None if found is None or self._withheld(package, found) else found

    def listed(self, package: str, sha256: str) -> Release | None:
        """Return one file of a project, whether it may be installed or not."""
        found = self._of(package)
        return next((each for each in found[1] if each.sha256 == sha256), None) if found else None

    def index_of(self, package: str) -> Index | None:
        """Return the index that a package comes from, if it was asked for."""
        found = self._of(package)
        return found[0] if found else None

    def asked(self, package: str) -> tuple[Release, ...]:
        """Return all files of a project that uv asked for; none if it did not."""
        with self._lock:
            future = self._found.get(package)
        found = future.result(timeout=limits.LIST_SECONDS) if future else None
        return found[1] if found else ()

    def judged(self, package: str) -> tuple[tuple[Release, PackageRefusedError | None], ...]:
        """Return all files of a project, each with why it may not be installed.

        Raises CasemateError for an index that cannot be reached, or lies.
        """
        found = self._of(package)
        return tuple(
            (each, refusal(package, each, self.rules, held=self.holds(package, each.sha256)))
            for each in (found[1] if found else ())
        )

    @property
    def failure(self) -> CasemateError | None:
        """What went wrong with an index, if something did."""
        with self._lock:
            return self._failed

    def refuse(self, package: str, version: str, error: PackageRefusedError) -> None:
        """Remember a refusal."""
        with self._lock:
            if len(self._refused) < limits.MAX_REFUSALS:
                self._refused.setdefault((package, version), error)

    def fail(self, error: CasemateError) -> None:
        """Remember what went wrong with an index; the first one counts."""
        with self._lock:
            self._failed = self._failed or error

    def explanation(self, message: str) -> CasemateError | None:
        """Return what a failure of uv comes from, if it comes from what was refused here."""
        with self._lock:
            if self._failed is not None:
                return self._failed
            words = {
                canonicalize_name(word).strip("-")
                for word in re.findall(r"[A-Za-z0-9][\w.\-]{0,200}", message[:100_000])
            }
            asked = _asked(message)
            told = [
                each
                for each in self._refused.items()
                if each[0][0] in words and _could_do(each[0][1], asked.get(each[0][0], ()))
            ]
        if not told:
            return None
        return max(told, key=lambda each: (each[0][1] in message, _order(each[0][1])))[1]

    def holds(self, package: str, sha256: str) -> bool:
        """Tell whether the lock had a file before."""
        pin = self._held.get(package)
        return pin is not None and sha256 in pin.hashes

    def _withheld(self, package: str, release: Release) -> bool:
        if self._hides is not None and self._hides(package, release.version):
            return True
        held = self.holds(package, release.sha256)
        error = refusal(package, release, self.rules, held=held)
        if error is not None and release.wheel:
            self.refuse(package, release.version, error)
        return error is not None

    def _of(self, package: str) -> _Found | None:
        """Return index and files of a project; the first who asks looks, all others wait."""
        with self._lock:
            future = self._found.get(package)
            mine = future is None
            if future is None:
                future = self._found[package] = Future()
        if mine:
            try:
                found = self._look(package)
                with self._lock:
                    if self._failed is not None and self._failed.retryable:
                        self._failed = None
                future.set_result(found)
            except CasemateError as error:
                if isinstance(error, PackageRefusedError):
                    self.refuse(package, "", error)
                    future.set_result(None)
                else:
                    self._forget(package, error)
                    future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result(timeout=limits.FILE_SECONDS)

    def _forget(self, package: str, error: CasemateError) -> None:
        """Remember what went wrong, and have the next one who asks look again."""
        self.fail(error)
        with self._lock:
            self._found.pop(package, None)

    def _look(self, package: str) -> _Found | None:
        self._check_name(package)
        bound = self.rules.policy.bound(package)
        if bound is not None:
            return self._ask([each for each in self.indexes if each.name == bound], package)
        origin = self._origins.get(package)
        recorded = [each for each in self.indexes if origin and each.url == origin.index]
        if recorded:
            found = self._ask(recorded, package)
            if found is not None:
                return found
        found = self._ask(self.indexes, package)
        if found is not None and origin is not None and origin.index is not None:
            raise MovedError(
                f"{package} came from {origin.index} and is now found at {found[0].url} only.",
                next_step=f"If it did move, bind it in {POLICY_FILE}: [index.NAME] "
                f'url = "{found[0].url}", packages = ["{package}"]. If not, somebody took the '
                "name.",
            )
        return found

    def _check_name(self, package: str) -> None:
        if self._popular is None or package in self._held:
            return
        other = self._popular.resembled(package)
        if other is not None and not self.rules.allows(Allow.NAME, package, ""):
            raise LookAlikeError(
                f"{package} resembles the popular package {other}.",
                next_step=f"Did you mean {other}? If {package} is what you want, "
                f"{exception(package, None, Allow.NAME, self.rules)}",
            )

    def _ask(self, indexes: Iterable[Index], package: str) -> _Found | None:
        """Return the one index of several that has a project, and its files."""
        found: list[_Found] = []
        for index in indexes:
            told = self._upstream.document(
                index.address_of(package), accept=ACCEPT, most=limits.MAX_LIST_BYTES
            )
            if told is not None:
                data, kind, address = told
                releases = parse_listing(data, kind, package, address)
                if releases or not index.page:
                    found.append((index, releases))
        if len(found) > 1:
            places = " and ".join(index.url for index, _ in found)
            raise AmbiguousIndexError(
                f"{package} is in more than one index: {places}.",
                next_step=f"Bind it to the one that it comes from, in {POLICY_FILE}: [index.NAME] "
                f'url = "...", packages = ["{package}"].',
            )
        return found[0] if found else None


def _asked(message: str) -> dict[str, list[SpecifierSet]]:
    """Return which versions of each package a failure of uv says that somebody requires."""
    found: dict[str, list[SpecifierSet]] = {}
    for match in _REQUIRED.finditer(message[:100_000]):
        try:
            versions = SpecifierSet(match.group(2).rstrip(".,"), prereleases=True)
        except InvalidSpecifier:
            continue
        found.setdefault(canonicalize_name(match.group(1)), []).append(versions)
    return found


def _could_do(version: str, asked: Iterable[SpecifierSet]) -> bool:
    """Tell whether a refused version is one that was asked for: else it is not what is missing."""
    wanted = tuple(asked)
    try:
        return not wanted or any(each.contains(Version(version)) for each in wanted)
    except InvalidVersion:
        return True


def _order(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")
