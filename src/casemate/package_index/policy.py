"""`casemate-packages.toml`: which index a name comes from, and what is accepted all the same.

It lies beside `casemate.toml` and is committed with it: an exception has a reason and an end, and
is seen by whoever reviews the change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.vault import INDEX_PREFIX, is_for_index
from casemate.package_index import limits
from casemate.package_index.errors import PackagePolicyError

if TYPE_CHECKING:
    from casemate.sigstore import TrustedRoot

POLICY_FILE = "casemate-packages.toml"
_PATTERN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?(?:[-_.]?\*)?")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_INDEX_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class Allow(StrEnum):
    """What an exception accepts."""

    FRESH = "fresh"
    """A release younger than the cool-down."""
    UNDATED = "undated"
    """A file of which no index says when it was uploaded."""
    YANKED = "yanked"
    PUBLISHER = "publisher"
    """Another publisher than the lock names; the exception names the new one."""
    NAME = "name"
    """A name that resembles a popular one."""
    SOURCE = "source"
    """A release without a wheel, which is built in the sandbox; the exception names the version."""
    PAYLOAD = "payload"
    """Code that is unpacked and run in one step."""
    ATTESTATION = "attestation"
    """An attestation that does not hold: the release counts as one without."""


class RecordedException(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """One exception: for a package, or all whose names begin as `package` does before its `*`."""

    package: str
    allow: tuple[Allow, ...]
    reason: str
    expires: date
    version: str | None = None
    publisher: str | None = None


class IndexSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An index, and the names that come from it and from nowhere else."""

    url: str
    packages: tuple[str, ...] = ()
    secret: str = ""
    """Name of the project's secret with its login; empty: none, or from the environment."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a project's file says. Without one, the defaults hold."""

    cool_down: int = limits.COOL_DOWN_DAYS
    """Days that a release must have been out."""
    trusted_root: str = ""
    """A file beside this one: whose attestations are believed, instead of the public Sigstore's."""
    index: dict[str, IndexSettings] = {}
    exception: tuple[RecordedException, ...] = ()

    def exceptions(self, kind: Allow, package: str, version: str) -> list[RecordedException]:
        """Return the exceptions of a kind for a release, ended or not."""
        return [
            each
            for each in self.exception
            if kind in each.allow
            and matches(each.package, package)
            and each.version in (None, version)
        ]

    def allows(self, kind: Allow, package: str, version: str, *, today: date) -> bool:
        """Tell whether an exception that has not ended accepts a release."""
        return any(today <= each.expires for each in self.exceptions(kind, package, version))

    def approves(self, package: str, version: str, publisher: str, *, today: date) -> bool:
        """Tell whether an exception accepts a release as published by `publisher`."""
        return any(
            today <= each.expires and each.publisher == publisher
            for each in self.exceptions(Allow.PUBLISHER, package, version)
        )

    def bound(self, package: str) -> str | None:
        """Return the name of the index that a package is bound to."""
        for name, settings in self.index.items():
            if any(matches(pattern, package) for pattern in settings.packages):
                return name
        return None


def matches(pattern: str, package: str) -> bool:
    """Tell whether a pattern names a package; only a `*` at its end has a meaning."""
    if pattern.endswith("*"):
        return canonicalize_name(package).startswith(canonicalize_name(pattern[:-1]))
    return canonicalize_name(pattern) == canonicalize_name(package)


def read_policy(project_root: Path, *, today: date) -> Policy:
    """Return what the project's file says; the defaults without one. Raises PackagePolicyError."""
    data = _content(project_root, POLICY_FILE, limits.MAX_POLICY_BYTES)
    if data is None:
        return Policy()
    try:
        policy = msgspec.toml.decode(data, type=decodable(Policy))
    except (ValueError, *DECODING_ERRORS) as error:
        raise PackagePolicyError(
            f"{POLICY_FILE}: {str(error)[:300]}.",
            next_step="Correct it; see the build's reference.",
        ) from error
    for problem in _problems(policy, today):
        raise PackagePolicyError(f"{POLICY_FILE}: {problem}.", next_step="Correct it.")
    return policy


def read_trusted(project_root: Path, policy: Policy) -> TrustedRoot | None:
    """Return the trusted keys that a policy names a file of; None if it names none.

    Raises PackagePolicyError, TrustedRootError.
    """
    name = policy.trusted_root
    if not name:
        return None
    from casemate.sigstore import MAX_ROOT_BYTES, read_root  # not above: few name one

    data = _content(project_root, name, MAX_ROOT_BYTES)
    if data is None:
        raise PackagePolicyError(
            f"{POLICY_FILE}: there is no file {name[:80]!a}.",
            next_step="`trusted-root` is the name of a file that lies beside it.",
        )
    return read_root(data, name)


def _content(project_root: Path, name: str, most: int) -> bytes | None:
    """Return a file of the project, None if there is none. Raises PackagePolicyError."""
    try:
        descriptor = os.open(
            project_root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PackagePolicyError(f"{name} cannot be read: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise PackagePolicyError(f"{name} cannot be read: {error.strerror}.") from error
    if len(data) > most:
        raise PackagePolicyError(f"{name} is larger than {most} bytes.")
    return data


def _problems(policy: Policy, today: date) -> Iterable[str]:
    """Yield what is wrong with a policy, beyond its form."""
    if not 0 <= policy.cool_down <= limits.MAX_COOL_DOWN_DAYS:
        yield f"cool-down is {policy.cool_down}, expected 0 to {limits.MAX_COOL_DOWN_DAYS} days"
    if len(policy.exception) > limits.MAX_EXCEPTIONS:
        yield f"more than {limits.MAX_EXCEPTIONS} exceptions"
    yield from _index_problems(policy)
    for number, each in enumerate(policy.exception, start=1):
        yield from (f"exception {number}: {what}" for what in _exception_problems(each, today))


def _index_problems(policy: Policy) -> Iterable[str]:
    if policy.trusted_root and not _FILE.fullmatch(policy.trusted_root):
        yield f"trusted-root is {policy.trusted_root[:60]!a}, expected the name of a file beside it"
    if len(policy.index) > limits.MAX_INDEXES:
        yield f"more than {limits.MAX_INDEXES} indexes"
    if len({each.url.rstrip("/") for each in policy.index.values()}) < len(policy.index):
        yield "two indexes have one address"
    owners: dict[str, str] = {}
    for name, settings in policy.index.items():
        if not _INDEX_NAME.fullmatch(name):
            yield f"{name[:60]!a} is not an index name; expected lower-case letters, digits, `-`"
        if not settings.url.startswith(("https://", "http://")) or "@" in settings.url:
            yield f"index {name[:60]!a}: expected an http(s) address without credentials"
        if settings.secret and not is_for_index(settings.secret):
            yield f"index {name}: the secret of a login is called {INDEX_PREFIX}NAME"
        for pattern in settings.packages:
            if not _PATTERN.fullmatch(pattern):
                yield f"index {name}: {pattern[:60]!a} is not a package name (a `*` may end it)"
            if owners.setdefault(canonicalize_name(pattern), name) != name:
                yield f"{pattern} is bound to two indexes, {owners[canonicalize_name(pattern)]} too"


def _exception_problems(each: RecordedException, today: date) -> Iterable[str]:
    if not _PATTERN.fullmatch(each.package):
        yield f"{each.package[:60]!a} is not a package name (a `*` may end it)"
    if not each.allow:
        yield "`allow` is empty"
    if not each.reason.strip() or len(each.reason) > limits.MAX_REASON_CHARS:
        yield f"expected a reason of up to {limits.MAX_REASON_CHARS} characters"
    if each.expires > today + timedelta(days=limits.MAX_EXCEPTION_DAYS):
        yield f"it would hold for more than {limits.MAX_EXCEPTION_DAYS} days"
    if Allow.SOURCE in each.allow and (each.version is None or each.package.endswith("*")):
        yield "name a package that is built from source with its `version`, and without `*`"
    if (Allow.PUBLISHER in each.allow) != (each.publisher is not None):
        yield '`publisher` is named exactly where `allow` has "publisher"'
