"""The indexes of one build as uv sees them: one, on loopback, that keeps the project's rules."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from casemate.build.source_builds import SourceBuilds
from casemate.build.tree import hash_file
from casemate.build.wheels import inspect_wheel
from casemate.decoding import toml_of
from casemate.model.errors import CasemateError
from casemate.package_index import (
    Allow,
    IndexServer,
    Rules,
    Selection,
    Upstream,
    indexes_of,
    origins_of,
    pins_of,
    popular_names,
    read_policy,
    read_trusted,
    recorded,
)

if TYPE_CHECKING:
    from casemate.build.uv_process import UvSession

_OPTION = re.compile(
    r"^\s*(-i|--index-url|--extra-index-url|--no-index|-f|--find-links)\s*[= ]?\s*(\S*)"
)
_URL = re.compile(r"https?://[^\s;#\"']{1,2000}")
_ADDRESS = re.compile(r"@\s{0,20}(https?://[^\s;#\"']{1,2000})")


class NoIndexes:
    """Stands where a build needs no index: everything it takes is vendored."""

    environment: Mapping[str, str] = {}
    network = False
    failure: CasemateError | None = None

    def explanation(self, errors: str) -> CasemateError | None:
        """Return nothing: uv's own words are all there is."""
        return None

    def versions(self, package: str) -> Iterable[str]:
        """Return none: no index is asked."""
        return ()

    def inside(self, text: str) -> str:
        """Return a text of requirements as it is."""
        return text

    def outside(self, text: str) -> str:
        """Return a lock as it is."""
        return text

    def recorded(self, text: str) -> str:
        """Return a lock as it is: vendored wheels have no origin but their hash."""
        return text


class ServedIndexes:
    """The one index that uv sees, and texts for it and from it."""

    network = True

    def __init__(
        self, server: IndexServer, addresses: Sequence[str], before: str, tags: frozenset[Tag]
    ) -> None:
        """Serve; `before` is the lock that there was, `tags` what the interpreter can install."""
        self._server = server
        self._before = before
        self._tags = tags
        self._addresses = {url: server.address(url) for url in addresses}
        self.environment: Mapping[str, str] = {**server.environment, "UV_HTTP_TIMEOUT": "600"}

    def explanation(self, errors: str) -> CasemateError | None:
        """Return what was refused to uv and made it fail."""
        return self._server.selection.explanation(errors)

    @property
    def failure(self) -> CasemateError | None:
        """What went wrong with an index, if something did."""
        return self._server.selection.failure

    def offers(self, package: str) -> Iterator[tuple[str, CasemateError | None]]:
        """Yield versions with a wheel that fits, each with why it may not be installed."""
        for release, refused in self._server.selection.judged(package):
            if release.wheel and self._fits(release.filename):
                yield release.version, refused

    def versions(self, package: str) -> Iterable[str]:
        """Return the versions that may be installed."""
        name = canonicalize_name(package)
        return (version for version, refused in self.offers(name) if refused is None)

    def fetched(self, package: str, hashes: frozenset[str], folder: Path) -> Path | None:
        """Return a wheel that has one of these hashes and fits, brought into `folder`.

        Raises PoisonedWheelError, IndexAnswerError, IndexUnavailableError.
        """
        for release, _ in self._server.selection.judged(package):
            if release.sha256 in hashes and release.wheel and self._fits(release.filename):
                path = folder / release.filename
                if self._server.upstream.save(release.url, path, sha256=release.sha256) is None:
                    return None
                self._server.inspect(path, release.filename)
                return path
        return None

    def inside(self, text: str) -> str:
        """Return a text of requirements without indexes, and with addresses that lead here."""
        replaced = _URL.sub(lambda m: self._addresses.get(m.group(), m.group()), text)
        return _without_indexes(replaced)

    def outside(self, text: str) -> str:
        """Return a lock with the addresses that its requirements have."""
        there = {here: url for url, here in self._addresses.items()}
        return _URL.sub(lambda m: there.get(m.group(), m.group()), text)

    def recorded(self, text: str) -> str:
        """Return a lock with the origin of each package. Raises PublisherChangedError."""
        return recorded(
            text,
            self._server.selection,
            self._server.upstream,
            before=origins_of(self._before),
            held=pins_of(self._before),
            fits=self._fits,
        )

    def _fits(self, filename: str) -> bool:
        try:
            return not self._tags.isdisjoint(parse_wheel_filename(filename)[3])
        except InvalidWheelFilename:
            return False


class BuildIndexes:
    """The indexes of a project, and its rules."""

    def __init__(self, session: UvSession, project_root: Path) -> None:
        """Read the rules. Raises PackagePolicyError."""
        self._session = session
        now = time.time() if session.now is None else session.now
        policy = read_policy(project_root, today=datetime.fromtimestamp(now, UTC).date())
        trusted = read_trusted(project_root, policy)
        self._rules = Rules(policy=policy, known=session.known, now=now, trusted=trusted)

    @contextmanager
    def serving(
        self,
        texts: Sequence[str],
        *,
        before: str,
        aged: bool,
        hides: Callable[[str, str], bool] | None = None,
    ) -> Iterator[ServedIndexes | NoIndexes]:
        """Serve what the indexes that are named in `texts` have and the rules allow.

        `before` is the lock that there was; what it holds is not judged by age again. Without
        `aged` nothing is. What `hides` tells by package and version is not offered, either.
        """
        options = [line for text in texts for line in _options(text)]
        addresses = list(dict.fromkeys(url for text in texts for url in _addresses(text)))
        indexes, logins = indexes_of(
            options, self._rules.policy, self._session.environ, self._session.lend
        )
        if not indexes and not addresses:
            yield NoIndexes()
            return
        with (
            # What a connection still writes when uv is gone already goes with the work folder.
            TemporaryDirectory(
                prefix="spool-", dir=self._session.work, ignore_cleanup_errors=True
            ) as spool,
            Upstream(logins) as upstream,
        ):
            selection = Selection(
                indexes,
                upstream,
                msgspec.structs.replace(self._rules, aged=aged),
                origins=origins_of(before),
                pins=pins_of(before),
                popular=popular_names() if aged else None,
                hides=hides,
            )
            served: list[ServedIndexes] = []
            builds = SourceBuilds(self._session, lambda: served[0])
            server = IndexServer(selection, upstream, Path(spool), self._inspect, builds.wheel)
            with server:
                served.append(ServedIndexes(server, addresses, before, self._tags()))
                yield served[0]

    def inspect_vendored(self, lock: str, given: Path, folders: Sequence[str]) -> None:
        """Look into the vendored wheels that a lock names. Raises PoisonedWheelError."""
        for folder in folders:
            for path in sorted((given / folder).glob("*.whl")):
                if hash_file(path.parent, path.name).sha256 in lock:
                    self._inspect(path, path.name)

    def _inspect(self, path: Path, filename: str) -> None:
        inspect_wheel(path, filename, accepts=partial(self._rules.allows, Allow.PAYLOAD))

    def _tags(self) -> frozenset[Tag]:
        """Return what the function's interpreter can install on this machine."""
        major, minor, _ = self._session.interpreter.version.split(".")
        version = (int(major), int(minor))
        tag = f"cp{major}{minor}"
        return frozenset((*cpython_tags(version), *compatible_tags(version, tag)))


def _options(text: str) -> Iterator[str]:
    """Yield the lines of a requirements file that are about indexes, in one form."""
    for line in text.splitlines():
        match = _OPTION.match(line)
        if match:
            yield f"{match.group(1)} {match.group(2)}".strip()


def _without_indexes(text: str) -> str:
    """Drop the lines that name an index or a page on the network, with those they go on in.

    `--no-index` goes too: what is served instead has no index then.
    """
    kept, going_on = [], False
    for line in text.splitlines(keepends=True):
        match = _OPTION.match(line)
        local = (
            match is not None
            and match.group(1) in ("-f", "--find-links")
            and "://" not in match.group(2)
        )
        drop = going_on or (match is not None and not local)
        going_on = drop and line.rstrip().endswith("\\")
        if not drop:
            kept.append(line)
    return "".join(kept)


def _addresses(text: str) -> list[str]:
    """Return the addresses of distributions that requirements or a pylock.toml name."""
    found = _ADDRESS.findall(text)
    if "[[packages]]" in text:
        try:
            packages = toml_of(text).get("packages", [])
        except ValueError:
            return found
        for package in packages if isinstance(packages, list) else []:
            wheels = package.get("wheels", []) if isinstance(package, dict) else []
            found += [
                wheel["url"]
                for wheel in wheels
                if isinstance(wheel, dict) and isinstance(wheel.get("url"), str)
            ]
    return found
